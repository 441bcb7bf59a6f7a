"""Identifiers: UUIDv7 (RFC 9562 §5.7), which sort by the time they were made."""

from __future__ import annotations

import os
import threading
import time

_lock = threading.Lock()
_last = [0]


def uuid7() -> str:
    """A new UUIDv7 as 36 characters; within one process each is greater than the one before."""
    with _lock:
        # 48 bits of milliseconds and 12 bits of a counter (RFC 9562 §6.2, method 1).
        stamp = max((time.time_ns() // 1_000_000) << 12, _last[0] + 1)
        _last[0] = stamp
    milliseconds, counter = stamp >> 12, stamp & 0xFFF
    tail = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1) | (1 << 63)
    digits = f"{(milliseconds << 80) | (0x7 << 76) | (counter << 64) | tail:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
