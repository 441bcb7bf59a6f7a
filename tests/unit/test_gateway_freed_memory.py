"""Memory that bodies leave behind stays with the process: no page faults for the next ones."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from gateway.freed_memory import keep_freed_memory

def faults_of_bodies():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(1_000):
        pieces = [bytes(100_000) for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

as_it_is = faults_of_bodies()
assert keep_freed_memory()
faults_of_bodies()
print(as_it_is, faults_of_bodies())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told anything")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    as_it_is, kept = map(int, run.stdout.split())
    assert kept < 100 < as_it_is
