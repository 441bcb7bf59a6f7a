"""Cores that don't go to sleep, as with ``idle=poll``: what a lonely request takes, without what waking takes.

With one request under way each core has nothing to do most of the time, so the kernel halts it, and each step of the
request has to wake the next one's core first. What that takes is the machine's affair: some microseconds on hardware,
30 to 60 on a virtual machine whose host has to be asked, and anything on a host that is busy. Who measures latency on
hardware turns it off (``idle=poll``, ``/dev/cpu_dma_latency``, tuned's ``latency-performance``); this does the same
without asking the kernel for anything: a process of the policy SCHED_IDLE on each core, which gives way to any other at
once.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from loadtests.compare.processes import GATEWAY_CORE, OTHER_CORE

BUSY = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
print("awake", flush=True)
while True:
    pass
"""


@contextlib.contextmanager
def awake_cores() -> Iterator[None]:
    """Keep both cores awake for as long as the context lasts."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for core in (GATEWAY_CORE, OTHER_CORE):
            command = [sys.executable, "-c", BUSY, core]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))  # noqa: S603 - the command is ours
        for process in processes:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError("A core couldn't be kept awake.")
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()
