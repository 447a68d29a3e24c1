"""The style sheet: the palette of `reporting.style` as variables, light and dark, then the rules.

Charts carry their colours as attributes, so that they print; on a screen these rules take the
attributes up and give them the colour of the reader's theme.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from dagster_project.reporting import style

_RULES = Path(__file__).parent / "templates"
# Strength of a matrix cell's ground, from few accounts to many.
_LEVELS = (0.14, 0.26, 0.40, 0.56)


@cache
def screen_css() -> str:
    """The style sheet of every page."""
    return "\n".join(
        [
            f":root{{color-scheme:light dark;{_variables(is_dark=False)}}}",
            f"@media (prefers-color-scheme:dark){{:root{{{_variables(is_dark=True)}}}}}",
            # Paper is white whatever the screen is.
            f"@media print{{:root{{{_variables(is_dark=False)}}}}}",
            _recoloured(),
            (_RULES / "style.css").read_text(encoding="utf-8"),
        ]
    )


@cache
def paper_css() -> str:
    """The style sheet of the print edition: the light palette and the rules of paper."""
    return "\n".join(
        [
            f":root{{{_variables(is_dark=False)}}}",
            (_RULES / "style.css").read_text(encoding="utf-8"),
            (_RULES / "paper.css").read_text(encoding="utf-8"),
        ]
    )


def _variables(*, is_dark: bool) -> str:
    roles = (
        style.DARK
        if is_dark
        else {
            "ink": style.INK,
            "muted": style.MUTED,
            "line": style.LINE,
            "grid": style.GRID,
            "paper": style.PAPER,
            "card": style.CARD,
            "navy": style.NAVY,
        }
    )
    inks = style.DARK_ZONE_INKS if is_dark else style.ZONE_INKS
    tints = style.DARK_ZONE_TINTS if is_dark else style.ZONE_TINTS
    stages = style.DARK_STAGE_COLOURS if is_dark else style.STAGE_COLOURS
    names = dict(roles)
    for zone in style.ZONES:
        names[zone] = style.ZONE_COLOURS[zone]
        names[f"{zone}-ink"] = inks[zone]
        names[f"{zone}-tint"] = tints[zone]
        for level, share in enumerate(_LEVELS, start=1):
            strength = share * (0.72 if is_dark else 1)
            names[f"{zone}-{level}"] = style.mixed(
                style.ZONE_COLOURS[zone], strength, roles["card"]
            )
    for index, colour in enumerate(stages):
        names[f"stage-{index}"] = colour
    for state, colour in style.STATE_COLOURS.items():
        names[f"state-{state.replace('_', '-')}"] = colour
    return "".join(f"--{name}:{colour};" for name, colour in names.items())


def _recoloured() -> str:
    roles = {
        style.INK: "ink",
        style.MUTED: "muted",
        style.LINE: "line",
        style.GRID: "grid",
        **{style.ZONE_INKS[zone]: f"{zone}-ink" for zone in style.ZONES},
        **{colour: f"stage-{index}" for index, colour in enumerate(style.STAGE_COLOURS)},
        "#E8ECF2": "grid",
    }
    rules = [f'svg [fill="{colour}"]{{fill:var(--{name})}}' for colour, name in roles.items()]
    rules += [
        f'svg [stroke="{colour}"]{{stroke:var(--{name})}}'
        for colour, name in {
            **{colour: roles[colour] for colour in (style.INK, style.LINE, style.GRID)},
            "#FFFFFF": "card",
        }.items()
    ]
    return "".join(rules)
