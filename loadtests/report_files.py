"""Reports on disk: an HTML page and the JSON beside it, in var/reports/ unless told otherwise.

`python -m loadtests.report_files [FOLDER]` lists them (`make reports`).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from loadtests.run_options import REPORTS


def write_report(folder: Path, name: str, report: dict[str, Any], html: str) -> tuple[Path, Path]:
    """Write both files and return their paths; without a name it is made of date and title."""
    if not name:
        stamp = re.sub(r"\D", "", report["began"])[:14]
        name = f"{stamp}-{re.sub('[^a-z0-9]+', '-', report['title'].lower()).strip('-')[:60]}"
    folder.mkdir(parents=True, exist_ok=True)
    html_path, json_path = folder / f"{name}.html", folder / f"{name}.json"
    html_path.write_text(html, encoding="utf-8")
    json_path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return html_path, json_path


def read_report(path: Path) -> dict[str, Any]:
    """A report's JSON.

    Raises:
        ValueError: There is none, or it is something else.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} can't be read as a report: {error}") from None
    if not isinstance(report, dict) or not {"rows", "began", "format"} <= report.keys():
        raise ValueError(f"{path} is not a report of these load tests")
    return report


def main() -> int:
    """List the reports, the newest first."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REPORTS
    paths = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    if not paths:
        print(f"No reports in {folder} yet: `make load` writes one.")
        return 0
    for path in paths:
        try:
            report = read_report(path)
        except ValueError:
            continue
        rate = sum(row["rate"] for row in report["rows"] if not row["route"])
        failures = sum(row["failures"] for row in report["rows"] if not row["route"])
        verdict = {0: "met", 1: "BROKEN", 3: "generator limit", 4: "not measured"}.get(report["exit_code"], "?")
        print(
            f"{report['began']:<26} {report['seconds']:>6} s {rate:>9,.1f}/s {failures:>6} failures  {verdict:<15} "
            f"{path.with_suffix('.html')}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
