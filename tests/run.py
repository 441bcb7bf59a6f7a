"""The whole suite: `python -m tests.run [pytest's arguments]`, which `make test` calls.

Twice pytest: Playwright's blocking interface leaves an event loop running in its thread, with which no test that starts
one of its own can share a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NO_TEST_RAN = 5  # pytest's exit code
BROWSER_TESTS = "tests/browser"

RUNS = (
    (["-m", "not browser", "--dist", "loadgroup"], [f"--ignore={BROWSER_TESTS}"]),
    # Each worker drives a system and a browser of its own, which keep two cores busy: with more of them pages get slow.
    # The files with the longest tests come first by themselves.
    (["-m", "browser", "--dist", "loadgroup", "--no-loadscope-reorder", "--maxprocesses", "2"], [BROWSER_TESTS]),
)
"""For each run what chooses its tests, and what spares it reading the other's when no file is named."""


def main(arguments: list[str]) -> int:
    """Run both parts, and tell pytest's exit code: the first that isn't 0, or "no test ran" when neither had any."""
    names_files = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    # Without bytecode to read, each worker would compile every test anew, and so would each process that they start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    codes = []
    for chosen, spared in RUNS:
        command = [sys.executable, "-m", "pytest", *chosen, *([] if names_files else spared), *arguments]
        codes.append(subprocess.run(command, env=environment, check=False).returncode)
    if all(code == NO_TEST_RAN for code in codes):
        return NO_TEST_RAN
    return next((code for code in codes if code not in (0, NO_TEST_RAN)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
