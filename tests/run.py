"""The whole suite: `python -m tests.run [pytest's arguments]`, which `make test` calls.

Twice pytest: Playwright's blocking interface leaves an event loop running in its thread, with which no test that starts
one of its own can share a process.
"""

from __future__ import annotations

import subprocess
import sys

NO_TEST_RAN = 5  # pytest's exit code

RUNS = (
    ["-m", "not browser", "--dist", "loadgroup"],
    ["-m", "browser", "--dist", "loadfile"],  # each worker drives a system and a browser of its own
)


def main(arguments: list[str]) -> int:
    """Run both parts, and tell pytest's exit code: the first that isn't 0, or "no test ran" when neither had any."""
    codes = [subprocess.run([sys.executable, "-m", "pytest", *run, *arguments], check=False).returncode for run in RUNS]
    if all(code == NO_TEST_RAN for code in codes):
        return NO_TEST_RAN
    return next((code for code in codes if code not in (0, NO_TEST_RAN)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
