"""The cyclic garbage collector, told that what the gateway has at its start stays.

Requests leave no cycles behind, so a collection finds nothing; by default one starts every 700 new objects, some 7
requests, and looks at everything in flight. Measured: 12 of 80 µs a request, and the longest of the pauses.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (50_000, 20, 50)  # new objects before a young collection; those before an older generation's


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect once, leave out what is there now, and look seldom from then on."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
