"""Colours, orders and words that everything a leader reads has in common."""

from __future__ import annotations

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
