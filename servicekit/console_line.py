"""A log line for people. Whatever stands in it, a terminal gets nothing from it that it would obey."""

from __future__ import annotations

from typing import Any

from servicekit.log_line import Event


class _Shown(str):
    """Text that is its own ``repr``, which structlog would show of it once more."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def make_printable(_: Any, __: str, event: Event) -> Event:
    """Escape what isn't printable as ``repr`` does: controls, C1 as well, line ends, what turns the text's direction.

    A step of structlog's chain, just before its renderer, whose colours are escape sequences themselves.
    """
    exception = event.pop("exception", None)
    shown: Event = {_printable(key): _printable(value) for key, value in event.items()}
    if exception is not None:
        shown["exception"] = _told(exception)
    return shown


def _printable(value: Any) -> Any:
    text = value if isinstance(value, str) else repr(value)
    return value if text.isprintable() else _Shown(repr(text))


def _told(exception: Any) -> str:
    """What ``servicekit.logs.describe_exception`` says, below the line."""
    if not isinstance(exception, dict):
        return str(_printable(str(exception)))
    lines = [f"  {frame}" for frame in exception["stack"]] + [exception["type"]]
    if "cause" in exception:
        lines.append(f"  because of {exception['cause']}")
    return "\n".join(str(_printable(line)) for line in lines)
