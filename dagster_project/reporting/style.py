"""Colours, orders and words that everything a leader reads has in common."""

from __future__ import annotations

from collections.abc import Mapping

INK = "#1F2A37"
MUTED = "#5F6B7A"
LINE = "#D5DBE3"
PAPER = "#F4F6FA"
NAVY = "#284B84"

ZONES = ("green", "yellow", "orange", "red", "unscored")
ZONE_COLOURS = {
    "green": "#3F9A68",
    "yellow": "#DBAD26",
    "orange": "#DD7A2F",
    "red": "#C6473B",
    "unscored": "#AEB6C2",
}
# Dark enough for text on white or on the zone's tint.
ZONE_INKS = {
    "green": "#1E6B43",
    "yellow": "#7A5B00",
    "orange": "#8F4510",
    "red": "#96261C",
    "unscored": "#4A5462",
}
ZONE_TINTS = {
    "green": "#DDF0E5",
    "yellow": "#FAF0CF",
    "orange": "#FBE3D2",
    "red": "#F8DCD9",
    "unscored": "#E8EBEF",
}
STAGE_COLOURS = ("#D9DEEA", "#A9B9DB", "#7C97CB", "#4E72B0", "#284B84")

STATUS_WORDS = {
    "met": "✓ met",
    "below_target": "▾ below target",
    "alert": "! alert",
    "no_data": "– no data",
}
STATUS_ZONES = {"met": "green", "below_target": "yellow", "alert": "red", "no_data": "unscored"}


def zone_order(zones: set[str]) -> list[str]:
    """The zones in order from best to worst; ones this page does not know come last."""
    known = [zone for zone in ZONES if zone in zones]
    return known + sorted(zones - set(ZONES))


def zone_of(score: float | None, lines: Mapping[str, float]) -> str:
    """The zone a score would be in: a colour for the eye, never a decision.

    `lines` says from which score each zone begins, best first; a zone unknown here is unscored.
    """
    for zone, line in lines.items():
        if score is not None and score >= line:
            return zone if zone in ZONE_COLOURS else "unscored"
    return "unscored"


# Never by colour alone: each zone also has a shape, each status of a measure a word.
ZONE_MARKS = {"green": "●", "yellow": "▲", "orange": "◆", "red": "■", "unscored": "○"}
STATE_COLOURS = {
    "scored": "#4E72B0",
    "stale": "#DBAD26",
    "no_data": "#AEB6C2",
    "too_early": "#C9BCE0",
    "not_applicable": "#D9DEEA",
}
CARD = "#FFFFFF"
GRID = "#E6EAF0"

# The same roles in the dark.
DARK = {
    "ink": "#E7ECF3",
    "muted": "#A9B4C2",
    "line": "#324153",
    "grid": "#293648",
    "paper": "#0F1620",
    "card": "#182230",
    "navy": "#8FB0E6",
}
DARK_ZONE_INKS = {
    "green": "#86D6A9",
    "yellow": "#F0D070",
    "orange": "#F5AE76",
    "red": "#F39A90",
    "unscored": "#C3CCD8",
}
DARK_ZONE_TINTS = {
    "green": "#173527",
    "yellow": "#3A3012",
    "orange": "#3F2713",
    "red": "#401F1C",
    "unscored": "#2A3543",
}
DARK_STAGE_COLOURS = ("#34435A", "#41598A", "#5477B0", "#7A9BD3", "#A9C3EE")


def mixed(colour: str, share: float, ground: str) -> str:
    """The colour laid over a ground with the given share (0-1), as a hexadecimal colour."""
    parts = (
        round(int(colour[at : at + 2], 16) * share + int(ground[at : at + 2], 16) * (1 - share))
        for at in (1, 3, 5)
    )
    return "#" + "".join(f"{part:02X}" for part in parts)
