"""Which `traceparent` a request's trace is taken from: W3C Trace Context §3.2."""

from __future__ import annotations

import pytest

from servicekit.request_context import decide_facts

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def trace_of(traceparent: str) -> tuple[str, str]:
    headers = [(b"traceparent", traceparent.encode())]
    facts = decide_facts(headers, dict(headers), "192.0.2.7", (), None)
    return facts.trace_id, facts.trace_flags


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
    ],
)
def test_a_trace_is_continued(traceparent: str) -> None:
    assert trace_of(traceparent) == (TRACE, "01")


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{SPAN}-01-extra",  # four fields exactly: §3.2.2
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01.",
        f"00-{TRACE}-{SPAN}-0",
        f"00-{TRACE}-{SPAN}",
        f"cc-{TRACE}-{SPAN}-01.what-the-future-will-be-like",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f" 00-{TRACE}-{SPAN}-01",
        "",
    ],
)
def test_a_new_trace_begins(traceparent: str) -> None:
    trace_id, flags = trace_of(traceparent)
    assert trace_id != TRACE
    assert (len(trace_id), flags) == (32, "00")
