"""``python -m loadtests.compare``: see docs/performance.md."""

from __future__ import annotations

import argparse

from loadtests.compare.bed import REPOSITORY, clean, lay
from loadtests.compare.contenders import CONTENDERS
from loadtests.compare.processes import Children
from loadtests.compare.rounds import run_rounds, start_all
from loadtests.compare.sessions import Sessions

WORK = REPOSITORY / "var" / "bench"


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.compare")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", default=",".join(each.name for each in CONTENDERS))
    chosen = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    clean(WORK)
    with Children(WORK) as children:
        bed = lay(children, WORK)
        sessions = Sessions(bed)
        comparison = start_all(bed, sessions, chosen.only.split(","))
        run_rounds(comparison, chosen.rounds, chosen.seconds)
        for s in comparison.standings.values():
            print(
                s.contender.name,
                s.requests_per_second(),
                s.latency("p50"),
                s.latency("p99"),
                s.tail(),
                s.single_p50(),
                comparison.ratio(s.contender.name),
                comparison.added(s.contender.name),
            )


if __name__ == "__main__":
    main()
