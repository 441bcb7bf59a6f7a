"""A short human name of the device behind a User-Agent. Only for display: nothing is decided by it."""

from __future__ import annotations

MAX_USER_AGENT = 400  # characters kept of the raw header

# Order matters: Edge and Opera also say Chrome, Chrome also says Safari, Android also says Linux.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def printable(user_agent: str | None) -> str:
    """The raw header, bounded and without anything that isn't printable."""
    return "".join(character for character in (user_agent or "") if character.isprintable())[:MAX_USER_AGENT]


def device_name(user_agent: str | None) -> str:
    """Such as ``Firefox on Windows``, ``curl``, or ``Unknown device``; at most 64 characters."""
    text = printable(user_agent)
    browser = next((name for mark, name in _BROWSERS if mark in text), None)
    system = next((name for mark, name in _SYSTEMS if mark in text), None)
    if browser and system:
        return f"{browser} on {system}"
    if browser or system:
        return browser or system or ""
    product = text.partition("/")[0].partition(" ")[0].strip()
    return product[:64] or "Unknown device"
