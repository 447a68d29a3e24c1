"""Pictures as inline SVG that a strict content security policy lets through.

A chart drawn by Altair is cleaned: no ids that could clash, no style attributes, no roles of its
own (the figure around it says in words what it shows), no more digits than a screen can show.
Small pictures (bars, sparklines) are drawn here; they hold numbers only, never text from data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import vl_convert
from markupsafe import Markup

from dagster_project.reporting.charts import AnyChart
from dagster_project.reporting.style import ZONE_COLOURS

_SVG = "http://www.w3.org/2000/svg"
_NUMBER = re.compile(r"-?\d+\.\d+")
_DROPPED = ("aria-", "role", "style", "pointer-events", "xlink", "tabindex", "focusable")
_ROUNDED = ("d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "points")


def chart_svg(chart: AnyChart, prefix: str) -> Markup:
    """Draw a chart as an inline SVG that scales to its container.

    Args:
        chart: what Altair built, with its data inside.
        prefix: stands before every id in the picture; unique on the page.
    """
    drawn = vl_convert.vegalite_to_svg(chart.to_dict())
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(drawn)
    width, height = root.attrib.pop("width"), root.attrib.pop("height")
    ids: dict[str, str] = {}
    for element in root.iter():
        if old := element.attrib.get("id"):
            ids[old] = f"{prefix}-{len(ids) + 1}"
    for element in root.iter():
        _clean(element, ids)
    for ground in root.findall(f"{{{_SVG}}}rect"):
        root.remove(ground)
    _prune(root)
    root.attrib.pop("version", None)
    root.set("class", "chart")
    root.set("viewBox", f"0 0 {width} {height}")
    root.set("aria-hidden", "true")
    root.set("width", width)
    root.set("height", height)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _clean(element: ElementTree.Element, ids: dict[str, str]) -> None:
    for name in list(element.attrib):
        value = element.attrib[name]
        if name.split("}")[-1].startswith(_DROPPED):
            del element.attrib[name]
        elif name == "id":
            element.attrib[name] = ids[value]
        elif "url(#" in value:
            old = value[value.index("#") + 1 : value.rindex(")")]
            element.attrib[name] = f"url(#{ids[old]})"
        elif name in _ROUNDED:
            element.attrib[name] = _NUMBER.sub(_rounded, value)


def _rounded(found: re.Match[str]) -> str:
    text = f"{float(found.group()):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _prune(element: ElementTree.Element) -> None:
    """Take out what draws nothing: hidden shapes, empty groups, frames without a line."""
    for child in list(element):
        _prune(child)
        tag = child.tag.split("}")[-1]
        is_hidden = child.get("display") == "none" or child.get("opacity") == "0"
        is_frame = child.get("class") in {"background", "foreground"} and not child.get("stroke")
        if is_hidden or is_frame or (tag == "g" and not len(child)):
            element.remove(child)
        elif tag == "g":
            child.attrib.pop("class", None) if not _is_styled(child) else None


def _is_styled(group: ElementTree.Element) -> bool:
    return any(word in (group.get("class") or "") for word in ("axis", "text"))


def bar(
    share: float | None, colour: str, *, target: float | None = None, width: int = 120
) -> Markup:
    """A horizontal bar on a track; the share and the target's tick are 0-1 of the track."""
    if share is None:
        filled = ""
    else:
        length = max(0.0, min(1.0, share)) * width
        filled = f'<rect width="{length:.1f}" height="8" rx="2" fill="{colour}"/>'
    tick = ""
    if target is not None and 0 <= target <= 1:
        at = min(max(target * width, 1.0), width - 1.0)
        tick = f'<path class="tick" d="M{at:.1f},-2v12" stroke="#1F2A37" stroke-width="1.5"/>'
    return Markup(
        f'<svg class="bar" viewBox="0 -2 {width} 12" width="{width}" height="12" '
        f'aria-hidden="true" preserveAspectRatio="none">'
        f'<rect class="track" width="{width}" height="8" rx="2" fill="#E8ECF2"/>'
        f"{filled}{tick}</svg>"
    )


def columns(scores: Sequence[tuple[float | None, str]], *, height: int = 22) -> Markup:
    """Thin columns side by side, one per (score 0-100, colour), each before its track."""
    parts = []
    for place, (score, colour) in enumerate(scores):
        x = 9 * place
        parts.append(
            f'<rect class="track" x="{x}" width="7" height="{height}" rx="1" fill="#E8ECF2"/>'
        )
        if score is not None:
            tall = max(1.0, height * min(score, 100.0) / 100)
            parts.append(
                f'<rect x="{x}" y="{height - tall:.1f}" width="7" height="{tall:.1f}" rx="1" '
                f'fill="{colour}"/>'
            )
    width = max(9 * len(scores) - 2, 1)
    return Markup(
        f'<svg class="columns" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'aria-hidden="true">{"".join(parts)}</svg>'
    )


def sparkline(
    values: Sequence[float | None],
    *,
    low: float,
    high: float,
    lines: Sequence[float] = (),
    width: int = 120,
    height: int = 28,
) -> Markup:
    """A small line over equal steps; gaps stay gaps, `lines` are dashed levels to compare with."""
    span = (high - low) or 1.0
    step = width / max(len(values) - 1, 1)

    def place(value: float) -> float:
        return 1 + (height - 2) * (1 - (min(max(value, low), high) - low) / span)

    path: list[str] = []
    is_down = False
    for index, value in enumerate(values):
        if value is None:
            is_down = False
            continue
        path.append(f"{'L' if is_down else 'M'}{index * step:.1f},{place(value):.1f}")
        is_down = True
    levels = "".join(
        f'<path class="level" d="M0,{place(level):.1f}H{width}" stroke="#9AA5B4" '
        'stroke-dasharray="3 2" stroke-width="1"/>'
        for level in lines
        if low <= level <= high
    )
    return Markup(
        f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'aria-hidden="true">{levels}<path class="line" fill="none" stroke="#1F2A37" '
        f'stroke-width="1.6" stroke-linejoin="round" d="{"".join(path)}"/></svg>'
    )


def swing(points: float | None, largest: float, *, width: int = 120) -> Markup:
    """A bar to the left (lost) or right (won) of a middle line; `largest` points fill a side."""
    half = width / 2
    drawn = ""
    if points:
        length = min(abs(points) / largest, 1.0) * (half - 2)
        at = half if points > 0 else half - length
        colour = ZONE_COLOURS["green" if points > 0 else "red"]
        drawn = f'<rect x="{at:.1f}" width="{length:.1f}" height="8" rx="2" fill="{colour}"/>'
    return Markup(
        f'<svg class="swing" viewBox="0 -2 {width} 12" width="{width}" height="12" '
        f'aria-hidden="true">{drawn}<path class="tick" d="M{half:.1f},-2v12" stroke="#1F2A37" '
        'stroke-width="1"/></svg>'
    )
