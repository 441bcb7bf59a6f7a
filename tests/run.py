"""The whole suite: `python -m tests.run [pytest's arguments]`, which `make test` calls.

Three times pytest. Playwright's blocking interface leaves an event loop running in its thread, with which no test that
starts one of its own can share a process. And the gateway's data path is tested twice where it runs inside a test's own
process: from its sources, and as the extension modules that are made of them first. Gateways that tests start as
processes are compiled, but for those that `make run` starts; with COMPILED=off in the environment none is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NO_TEST_RAN = 5  # pytest's exit code
BROWSER_TESTS = "tests/browser"
PATH_TESTS = (
    "test_busy_poll*",
    "test_edge_*",
    "test_gateway_*",
    "test_header_rules*",
    "test_paths_*",
    "test_upstream_*",
)

Run = tuple[list[str], list[str]]
RUNS: tuple[Run, ...] = (
    (["-m", "not browser", "--dist", "loadgroup"], [f"--ignore={BROWSER_TESTS}"]),
    # Each worker drives a system and a browser of its own, which keep two cores busy: with more of them pages get slow.
    # The files with the longest tests come first by themselves.
    (["-m", "browser", "--dist", "loadgroup", "--no-loadscope-reorder", "--maxprocesses", "2"], [BROWSER_TESTS]),
)
"""For each run what chooses its tests, and what spares it reading the other's when no file is named."""


def compiled_run() -> Run:
    """The tests that hold the data path in their own process, compiled."""
    # Gateways that a test starts as processes are compiled anyway: none of the system tests but the edge's.
    folders = {"unit": PATH_TESTS, "services": PATH_TESTS, "system": ("test_edge_*",)}
    root = Path(__file__).parent
    files = sorted(
        str(file.relative_to(root.parent))
        for folder, names in folders.items()
        for name in names
        for file in (root / folder).glob(name + ".py")
    )
    return ["-p", "tests.support.compiled_gateway", "--dist", "loadgroup"], files


def compile_gateway() -> bool:
    """Make the extension modules; whether there are any. Where they are required, their lack ends the run."""
    is_done = subprocess.run([sys.executable, "-m", "gateway.compile"], check=False).returncode == 0
    if not is_done and os.environ.get("MATRICULA_REQUIRE_COMPILED") == "1":
        raise SystemExit("The compiled gateway is required here but can't be made.")
    return is_done


def main(arguments: list[str]) -> int:
    """Run all parts, and tell pytest's exit code: the first that isn't 0, or "no test ran" when none had any."""
    names_files = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    # Without bytecode to read, each worker would compile every test anew, and so would each process that they start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    codes = []
    has_compiled = not names_files and compile_gateway()
    for chosen, spared in (*RUNS, compiled_run()) if has_compiled else RUNS:
        command = [sys.executable, "-m", "pytest", *chosen, *([] if names_files else spared), *arguments]
        codes.append(subprocess.run(command, env=environment, check=False).returncode)
    if all(code == NO_TEST_RAN for code in codes):
        return NO_TEST_RAN
    return next((code for code in codes if code not in (0, NO_TEST_RAN)), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
