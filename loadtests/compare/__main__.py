"""``python -m loadtests.compare``: measure, print, and write the reports. See docs/performance.md."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.compare.bed import REPOSITORY, Bed, clean, lay
from loadtests.compare.contenders import CONTENDERS
from loadtests.compare.document import write_document
from loadtests.compare.gateway_profile import profile_table, take_profile
from loadtests.compare.installing import Missing, find_program
from loadtests.compare.machine import describe_machine
from loadtests.compare.memory import watch_memory
from loadtests.compare.page import render_page
from loadtests.compare.processes import Children, DidNotStart
from loadtests.compare.rounds import Comparison, run_rounds, start_all
from loadtests.compare.sessions import Sessions
from loadtests.compare.summary import as_text, as_values, comparison_table, sweep_table, targets_table
from loadtests.compare.sweeps import run_sweeps
from loadtests.compare.wrk import MeasurementFailed

WORK = REPOSITORY / "var" / "bench"
REPORTS = REPOSITORY / "var" / "reports"
DOCUMENT = REPOSITORY / "docs" / "performance.md"
ALL_MEMORY_MINUTES = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and do what it says; the result is the exit code."""
    chosen = _parse(arguments)
    for folder in (WORK, REPORTS):
        folder.mkdir(parents=True, exist_ok=True)
    clean(WORK)
    try:
        find_program("wrk")
        with Children(WORK) as children:
            print("Starting the upstream, Valkey and auth_service ...", flush=True)
            bed = lay(children, WORK, chosen.python)
            values = _measure(bed, Sessions(bed), chosen)
    except (Missing, DidNotStart, MeasurementFailed) as error:
        print(f"The benchmark can't go on: {error}", file=sys.stderr)
        return 1
    finally:
        clean(WORK)
    _write(values, write_docs=chosen.write_docs)
    return 0


def _measure(bed: Bed, sessions: Sessions, chosen: argparse.Namespace) -> dict[str, Any]:
    print("Starting the contenders ...", flush=True)
    comparison = start_all(bed, sessions, chosen.only.split(","))
    print(f"Measuring in turns, {chosen.rounds} rounds ...", flush=True)
    run_rounds(bed, sessions, comparison, chosen.rounds, chosen.seconds)
    machine = {**describe_machine(), "Python": bed.interpreter.description.removeprefix("Python ")}
    values = as_values(comparison, machine, chosen.rounds, chosen.seconds)
    print("\n" + as_text(comparison_table(values)) + "\n", flush=True)
    _stop(bed, comparison)
    if chosen.sweeps:
        print("Sweeps:", flush=True)
        values["sweeps"] = run_sweeps(bed, sessions)
        for sweep in values["sweeps"]:
            print(f"\n{sweep['title']}\n{as_text(sweep_table(sweep))}", flush=True)
    if chosen.memory:
        print(f"\nMemory under load for {chosen.memory:g} minutes:", flush=True)
        values["memory"] = watch_memory(bed, sessions, chosen.memory)
    if chosen.profile:
        print("\nProfile:", flush=True)
        try:
            values["profile"] = take_profile(bed, sessions)
        except Missing as error:
            print(f"    left out: {error}", flush=True)
        else:
            for what in ("parts", "functions"):
                print("\n" + as_text(profile_table(values["profile"], what)), flush=True)
    print("\n" + as_text(targets_table(values)) + "\n", flush=True)
    return values


def _stop(bed: Bed, comparison: Comparison) -> None:
    for standing in comparison.standings.values():
        if standing.running.child is not None:
            bed.children.stop(standing.running.child)


def _write(values: dict[str, Any], *, write_docs: bool) -> None:
    now = datetime.now(UTC)
    values["finished"] = now.strftime("%Y-%m-%d %H:%M UTC")
    name = f"bench-{now:%Y%m%d-%H%M%S}"
    data, page = REPORTS / f"{name}.json", REPORTS / f"{name}.html"
    data.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    page.write_text(render_page(values), encoding="utf-8")
    print(f"Written: {_shown(data)} and {_shown(page)}")
    if write_docs:
        write_document(DOCUMENT, values)
        print(f"Updated: {_shown(DOCUMENT)}")


def _shown(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    names = ",".join(each.name for each in CONTENDERS)
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.compare",
        description="The gateway beside its peers: one core for the contender, one for wrk, the upstream and Valkey.",
    )
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison; default 5")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each contender and round; default 5")
    parser.add_argument("--only", default=names, metavar="NAMES", help=f"some of {names}")
    parser.add_argument(
        "--sweeps", action="store_true", help="also how cost grows, with one thing at a time (11 minutes)"
    )
    parser.add_argument("--memory", type=float, default=0.0, metavar="MINUTES", help="also watch memory under load")
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="runs the contenders in Python; default: this one, or the system's if this one is no release build",
    )
    parser.add_argument("--profile", action="store_true", help="also where the gateway's time goes, by Linux's perf")
    parser.add_argument("--all", action="store_true", help=f"--sweeps --profile --memory {ALL_MEMORY_MINUTES:g}")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/performance.md")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.only.split(",")) - {each.name for each in CONTENDERS}:
        parser.error(
            f"argument --only: no contender is called {', '.join(sorted(map(repr, unknown)))}: it takes {names}"
        )
    if chosen.all:
        chosen.sweeps = chosen.profile = True
        chosen.memory = chosen.memory or ALL_MEMORY_MINUTES
    return chosen


if __name__ == "__main__":
    raise SystemExit(main())
