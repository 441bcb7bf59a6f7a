"""One run: what it records, what it prepares, what it decides at its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Group

from loadtests import baseline, report_data, text_report
from loadtests.about_machine import busy_before, describe_machine
from loadtests.about_system import describe_system
from loadtests.accounts import Accounts
from loadtests.generator_health import health_of
from loadtests.html_report import render_html
from loadtests.rate_search import RateSearch, Tried
from loadtests.recorder import Key, Recorder, Series, by_scenario
from loadtests.report_files import read_report, write_report
from loadtests.slo import ADDED, Objectives, judge, read_objectives

OK, BROKEN, GENERATOR_LIMIT, NOT_MEASURED = 0, 1, 3, 4
"""Exit codes; 2 is Locust's and Python's for a mistake in the command or the code."""

SETTLING_SECONDS = 2
LEAST_ANSWERED = 0.9


class LoadRun:
    """What the listeners of one process share; the master's (or the only) one decides."""

    def __init__(self, environment: Any, quit_run: Callable[[], None]) -> None:
        options = environment.parsed_options
        self.environment = environment
        self.options = options
        self.recorder = Recorder()
        self.objectives: Objectives = read_objectives(Path(options.slo).read_text(encoding="utf-8"))
        self.earlier = read_report(Path(options.baseline)) if options.baseline else None
        self.accounts: Accounts | None = None
        self.visits = Group()
        """Those of the open model that are under way. Whoever leaves before the end of the run leaves theirs to be
        finished: an arrival's answer counts, whatever the rate is by then."""
        self.search: RateSearch | None = None
        self.finished = True
        self.exit_code = NOT_MEASURED
        self.remarks: list[str] = []
        """What a reader of the report must know to judge it."""
        self.complete_workers: set[str] = set()
        """Those that have told everything they measured."""
        self._began = ""
        self._rate = 0
        self._step_ends = 0.0
        self._step_began = 0.0
        self._quit_run = quit_run
        self._system: gevent.Greenlet | None = None

    def begin(self, host: str, *, with_accounts: bool, with_verdict: bool) -> None:
        """A test starts, in a process that makes accounts and load, or judges and reports, or both."""
        self.recorder.clear()
        self.recorder.judged_from = time.time() + float(self.options.warm_up)
        self.finished, self.search, self._step_began = False, None, 0.0
        self.complete_workers.clear()
        busy = busy_before()
        self.remarks = [f"{busy}: that is in every latency"] if busy else []
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        options = self.options
        if with_verdict:  # beside the run: a system that is slow to say what it is must not hold it up
            admin = (options.admin_username, options.admin_password)
            self._system = gevent.spawn(describe_system, host.rstrip("/"), admin, options.direct_url.rstrip("/"))
        if with_accounts:
            self.accounts = Accounts(host, options.admin_username, options.admin_password, max(1, options.accounts))

    def fail_setup(self, why: str) -> None:
        """The system can't be prepared: the run is over."""
        self.recorder.setup_failures[why] += 1
        self._quit_run()

    def next_search_rate(self, highest: int) -> int | None:
        """The rate to offer now, once a second; None ends the search."""
        now = time.time()
        if self.search is None:
            self.search = RateSearch(highest)
        elif now < self._step_ends:
            return self._rate
        else:
            tried = self._judge_step()
            self.search.tried.append(tried)
            say(f"  {tried.offered:>6} arrivals/s: {tried.answered:,.0f} requests/s, {tried.broken or 'meets the SLO'}")
        rate = self.search.next_rate()
        if rate is not None:
            self._rate = rate
            self._step_began, self._step_ends = now, now + max(SETTLING_SECONDS + 2, float(self.options.step_seconds))
        return rate

    def _judge_step(self) -> Tried:
        since, until = int(self._step_began) + SETTLING_SECONDS, int(self._step_ends)
        series = self.recorder.series(since, until)
        answered = sum(each.requests for each in series.values()) / max(1, until - since)
        verdicts = judge(self.objectives, series, until - since)
        broken = next((str(v) for v in verdicts if not v.met and v.measure != "min_rate"), None)
        if broken is None and self.recorder.dropped:
            broken = "arrivals could not be started"
        if broken is None and not series:
            broken = "nothing was answered"
        if broken is None and answered < LEAST_ANSWERED * self._rate and self.options.open_model:
            broken = f"only {answered:,.0f} answers/s came"
        recent = {name: process.samples[-(until - since) :] for name, process in self.recorder.processes.items()}
        if broken is None and any(s and sum(x[1] for x in s) / len(s) > 90 for s in recent.values()):
            broken = "the load generator was the limit"
        self.recorder.dropped.clear()
        return Tried(self._rate, answered, broken)

    def finish(self) -> int:
        """Judge the run, print it, write its reports; the exit code. A second call changes nothing."""
        if self.finished:
            return self.exit_code
        self.finished = True
        recorder, series = self.recorder, self.recorder.series()
        added = added_by_gateway(series)
        dropped = {name: recorder.dropped[name] / count for name, count in recorder.arrivals.items() if count}
        verdicts = judge(self.objectives, series, recorder.duration_seconds(), dropped=dropped, added=added)
        health = health_of(recorder.processes)
        broken = [str(verdict) for verdict in verdicts if not verdict.met]
        broken += [self._told_of(one["msg"]) for one in self.environment.runner.exceptions.values()]
        if self.search is not None:
            broken = [] if self.search.met else [self.search.answer()]  # it goes to where the objectives break
        if not series and not recorder.setup_failures:
            recorder.setup_failures["nothing was measured"] += 1
        self.exit_code = self._exit_code(broken, any(each.warning for each in health))
        found = None
        if self.search is not None:
            found = {"answer": self.search.answer(), "tried": [vars(each) for each in self.search.tried]}
        report = report_data.document(
            recorder,
            title=self._title(series),
            began=self._began,
            about=self._about(),
            outcome=report_data.Outcome(
                exit_code=self.exit_code,
                broken=[*recorder.setup_failures, *broken],
                verdicts=verdicts,
                health=health,
                added=added,
                highest_rate=found,
                remarks=self.remarks,
            ),
        )
        if self.earlier is not None:
            changes = baseline.compare(self.earlier, report)
            report["changes"] = [vars(change) | {"text": str(change)} for change in changes]
        say(text_report.summary(report))
        if series:
            html, _ = write_report(Path(self.options.reports), self.options.report_name, report, render_html(report))
            say(f"Report: {html}")
        say(CLOSING[self.exit_code])
        return self.exit_code

    def _exit_code(self, broken: list[str], is_generator_limit: bool) -> int:
        if self.recorder.setup_failures:
            return NOT_MEASURED
        if is_generator_limit and self.options.fail_on_generator_limit:
            return GENERATOR_LIMIT
        return BROKEN if broken else OK

    def _told_of(self, exception: str) -> str:
        if exception.startswith("No tasks defined on") and (self.options.tags or self.options.exclude_tags):
            return f"{exception.split()[4].rstrip('.')} does nothing with these --tags or --exclude-tags"
        return f"{exception} (an exception in a scenario)"

    def _title(self, series: dict[Key, Series]) -> str:
        return ", ".join(by_scenario(series)) or "nothing"

    def _about(self) -> dict[str, dict[str, str]]:
        options = self.options
        environment = self.environment
        notes = [part.partition("=") for part in options.note.split(";") if part.strip()]
        run = {
            "host": str(environment.host or "each scenario's own"),
            "model": "open (users are arrivals/s)" if options.open_model else f"closed, {options.think:g} s think time",
            "shape": type(environment.shape_class).__name__ if environment.shape_class else "none",
            "users": str(options.num_users or 1),
            "warm-up": f"{options.warm_up:g} s, not judged",
            "generator processes": str(max(1, len(self.recorder.processes))),
            "objectives": Path(options.slo).name,
        }
        return {
            "machine": describe_machine(),
            "system": {**self._told(), **{name.strip(): value.strip() for name, _, value in notes}},
            "run": run,
        }

    def _told(self) -> dict[str, str]:
        if self._system is None:
            return {}
        self._system.join(SETTLING_SECONDS)
        return dict(self._system.value or {})


CLOSING = {
    OK: "Every SLO is met.",
    BROKEN: "An SLO is broken: exit code 1.",
    GENERATOR_LIMIT: "The load generator was the limit, so this says nothing about the system: exit code 3.",
    NOT_MEASURED: "Nothing could be measured: exit code 4.",
}


def added_by_gateway(series: dict[Key, Series]) -> dict[str, dict[str, float]]:
    """What each `… gateway` route takes longer than its `… direct` twin, by scenario."""
    found: dict[str, dict[str, float]] = {}
    for key, through in series.items():
        direct = series.get(Key(key.scenario, key.route.removesuffix(" gateway") + " direct"))
        if not key.route.endswith(" gateway") or direct is None or not direct.requests or not through.requests:
            continue
        found[key.scenario] = {
            measure: (through.latencies.percentile_ms(fraction) or 0) - (direct.latencies.percentile_ms(fraction) or 0)
            for measure, fraction in ADDED.items()
        }
    return found


def say(text: str) -> None:
    """Print on stdout, at once."""
    print(text, flush=True)
    sys.stdout.flush()
