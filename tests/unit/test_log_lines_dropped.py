"""Log lines that can't be written are counted where a scraper sees it."""

from __future__ import annotations

import os

from prometheus_client import REGISTRY

from servicekit.log_sink import LineSink
from tests.support.wait import until


def dropped() -> float:
    return REGISTRY.get_sample_value("log_lines_dropped_total") or 0


def test_lines_for_a_reader_that_is_gone_are_counted() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    before = dropped()
    sink = LineSink(writing)
    try:
        for _ in range(3):
            sink.write(b"{}\n")
        until(lambda: dropped() == before + 3, timeout=20)
    finally:
        sink.flush()
        os.close(writing)


def test_lines_beyond_the_queue_are_counted() -> None:
    reading, writing = os.pipe()
    before = dropped()
    sink = LineSink(writing, queue_lines=0)
    try:
        sink.write(b"{}\n")
        assert dropped() == before + 1
    finally:
        os.close(reading)
        os.close(writing)
