"""What a report says of the machine and the programs that made it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from loadtests.compare.installing import find_program, version_of


def describe_machine() -> dict[str, str]:
    """Processor, cores, system and the versions of what measures."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "wrk": version_of(find_program("wrk"), "-v").split(" Copyright")[0].removeprefix("wrk ").strip(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
