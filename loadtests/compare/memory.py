"""Whether the gateway's memory stays where it is under load."""

from __future__ import annotations

import time
from typing import Any

from loadtests.compare.bed import Bed
from loadtests.compare.contenders import start_ours
from loadtests.compare.sessions import Sessions
from loadtests.compare.wrk import Load, measure

SAMPLE_SECONDS = 10.0
TOKENS = 100
CONNECTIONS = 64


def watch_memory(bed: Bed, sessions: Sessions, minutes: float) -> list[dict[str, Any]]:
    """Load the gateway for so long with some callers and note its resident memory between the stretches."""
    tokens = sessions.write(TOKENS)
    gateway = start_ours(bed, sessions)
    if gateway.child is None:
        raise RuntimeError("the gateway isn't a process of ours")
    started = time.monotonic()
    samples = [{"seconds": 0.0, "megabytes": gateway.child.resident_bytes() / 1e6, "requests_per_second": 0.0}]
    while time.monotonic() - started < minutes * 60:
        load = Load(tokens_file=tokens, at_random=TOKENS, connections=CONNECTIONS)
        result = measure(gateway.port, load, SAMPLE_SECONDS)
        sample = {
            "seconds": round(time.monotonic() - started, 1),
            "megabytes": round(gateway.child.resident_bytes() / 1e6, 1),
            "requests_per_second": result.requests_per_second,
        }
        samples.append(sample)
        rate = f"{result.requests_per_second:,.0f} requests/s"
        print(f"  {sample['seconds']:6.0f} s  {sample['megabytes']:7.1f} MB  {rate}", flush=True)
        # The log would fill the disk; nobody reads it.
        gateway.child.output.open("wb").close()
    bed.children.stop(gateway.child)
    return samples
