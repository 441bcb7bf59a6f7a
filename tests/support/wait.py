"""Waiting for what happens elsewhere, without sleeping longer than needed."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], timeout: float = 5) -> None:
    """Returns once the condition holds; fails the test when it does not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {timeout} seconds"
        time.sleep(0.01)
