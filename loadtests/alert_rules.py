"""The alert rules that follow from `slo.toml`: `python -m loadtests.alert_rules` writes them, `--check` compares.

What a load test holds a percentile against, an alert holds the share of slow answers against: "p95 is 150 ms" is
"at most 5 % take longer than 150 ms", which a histogram's bucket tells exactly. Where no bucket ends at the limit the
next one above is taken, and the rule says so. What the services' metrics can't show is named in the file instead of
left out in silence.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtests.slo import PERCENTILES, Alerting, Objectives, read_objectives

SLO_FILE = Path(__file__).resolve().parent / "slo.toml"
RULES_FILE = Path(__file__).resolve().parent.parent / "deploy" / "observability" / "slo_alerts.yml"

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Where the buckets of http_request_duration_seconds end, in seconds; a test compares them with the services'."""

SEEN_AS = {
    "browsing": 'service="gateway", method="GET", route="/students"',
    "registrar": 'service="gateway", method=~"POST|PATCH|PUT|DELETE", route="/students"',
    "sign-in": 'service="gateway", method="POST", route=~"/auth/(login|token)"',
    "admin-pages": 'service="gateway", route="/admin"',
    "GET /students/{id}": 'service="student_service", method="GET", route="/students/{student_id}"',
}
"""A scenario or route of `slo.toml` → the requests in the services' metrics that it stands for."""

NOT_SEEN = {
    "session-life": "its parts are counted with other people's sign-ins and lists",
    "rate-limits": "refusing quickly is no objective of its own in production",
    "revoke to reject": "it lies between two requests, and no metric joins two requests",
}
"""What no metric shows, and why."""

OVERHEAD = "gateway-overhead"
NO_ALERT = {
    "min_rate": "how much is asked is the people's affair",
    "dropped_ratio": "only a load generator drops",
}


class NoMeaning(Exception):
    """`slo.toml` names something for which it isn't said here how it is seen."""


@dataclass(frozen=True)
class Rule:
    """One alert: what it is about, when it fires, how urgent it is, and where the runbook has it."""

    name: str
    about: str
    expression: str
    severity: str
    summary: str
    runbook: str
    labels: Mapping[str, str]

    def lines(self, hold_minutes: int) -> Iterator[str]:
        """As YAML, in a list of rules."""
        labels = ", ".join(f'{name}: "{value}"' for name, value in {**self.labels, "severity": self.severity}.items())
        yield from (f"      # {line}" for line in self.about.splitlines())
        yield f"      - alert: {self.name}"
        yield "        expr: |"
        yield from (f"          {line}" for line in self.expression.splitlines())
        yield f"        for: {hold_minutes}m"
        yield f"        labels: {{{labels}}}"
        yield "        annotations:"
        yield f'          summary: "{self.summary}"'
        yield f"          runbook: {self.runbook}"


def rules_of(objectives: Objectives) -> list[Rule]:
    """Every alert that the objectives ask for.

    Raises:
        NoMeaning: A scenario or route isn't known here.
    """
    tables = {**objectives.scenarios, **objectives.routes}
    unknown = tables.keys() - SEEN_AS.keys() - NOT_SEEN.keys() - {OVERHEAD}
    if unknown:
        raise NoMeaning(f"{min(unknown)} of slo.toml has no place in SEEN_AS or NOT_SEEN of loadtests/alert_rules.py")
    alerting = objectives.alerting
    rules = [_failures(alerting)]
    for subject, limits in tables.items():
        rules += [
            _slow(subject, measure, limit, alerting)
            for measure, limit in limits.items()
            if subject in SEEN_AS and measure in PERCENTILES
        ]
    added = objectives.scenarios.get(OVERHEAD, {}).get("added_p95_ms")
    return rules if added is None else [*rules, _overhead(added, alerting)]


def bucket_for(limit_ms: float) -> float:
    """The end of the bucket that tells a limit, or of the next one above, in seconds.

    Raises:
        NoMeaning: The limit is above all of them.
    """
    found = next((end for end in BUCKETS if end * 1000 >= limit_ms - 1e-9), None)
    if found is None:
        raise NoMeaning(f"{limit_ms:g} ms is above every bucket of the services' histograms")
    return found


def _slow(subject: str, measure: str, limit_ms: float, alerting: Alerting) -> Rule:
    end, share, which = bucket_for(limit_ms), 1 - PERCENTILES[measure], SEEN_AS[subject]
    window = f"[{alerting.window_minutes}m]"
    about = f"{subject}: {measure} = {limit_ms:g}, so at most {share:.0%} may take longer."
    if end * 1000 != limit_ms:
        about += f"\nNo bucket ends at {limit_ms:g} ms: {end * 1000:g} ms is the next one above."
    count = f"http_request_duration_seconds_count{{{which}}}{window}"
    return Rule(
        name="".join(word.capitalize() for word in re.findall(r"\w+", subject)) + "Slow",
        about=about,
        expression=(
            f'1 - sum(rate(http_request_duration_seconds_bucket{{{which}, le="{end}"}}{window}))\n'
            f"  / sum(rate({count})) > {share:.2f}\n"
            f"and sum(increase({count})) >= {alerting.fewest_requests}"
        ),
        severity="ticket",
        summary=(
            f"{{{{ $value | humanizePercentage }}}} of the requests of {subject} took longer than {end * 1000:g} ms; "
            f"the objective is {share:.0%}."
        ),
        runbook="it-is-slow",
        labels={"objective": measure},
    )


def _failures(alerting: Alerting) -> Rule:
    window = f"[{alerting.window_minutes}m]"
    count = 'http_requests_total{service="gateway", route!="/readyz"'
    return Rule(
        name="GatewayErrors",
        about=f"[alerts] failure_ratio = {alerting.failure_ratio:g}.",
        expression=(
            f'sum(rate({count}, status=~"5.."}}{window}))\n'
            f"  > {alerting.failure_ratio:g} * sum(rate({count}}}{window}))\n"
            f'and sum(increase({count}, status=~"5.."}}{window})) > 5'
        ),
        severity="page",
        summary=f"More than {alerting.failure_ratio * 100:g} % of the gateway's answers are 5xx.",
        runbook="many-5xx",
        labels={"objective": "failure_ratio"},
    )


def _overhead(limit_ms: float, alerting: Alerting) -> Rule:
    window = f"[{alerting.window_minutes}m]"
    through = f'http_request_duration_seconds_sum{{service="gateway", route="/students"}}{window}'
    count = f'gateway_upstream_duration_seconds_count{{upstream="student_service"}}{window}'
    behind = f'gateway_upstream_duration_seconds_sum{{upstream="student_service"}}{window}'
    return Rule(
        name="GatewayOverhead",
        about=(
            f"gateway-overhead: added_p95_ms = {limit_ms:g}. Two histograms give no percentiles of a difference,\n"
            "so the mean, which is exact, is held against the 95th percentile's limit. The end of an answer counts\n"
            "here and its head at the upstream, so large exports to slow clients count as the gateway's time."
        ),
        expression=(
            f"(sum(rate({through})) - sum(rate({behind})))\n"
            f"  / sum(rate({count})) > {limit_ms / 1000:g}\n"
            f"and sum(increase({count})) >= {alerting.fewest_requests}"
        ),
        severity="ticket",
        summary="The gateway adds {{ $value | humanizeDuration }} to a request for students, on average.",
        runbook="it-is-slow",
        labels={"objective": "added_p95_ms"},
    )


def render(objectives: Objectives) -> str:
    """The rules file."""
    lines = [
        "# Made from loadtests/slo.toml by `python -m loadtests.alert_rules`: change it there, and run that again.",
        "# A test fails when this file and slo.toml differ.",
        "#",
        "# Without an alert, because no metric shows it:",
        *(f"#   {name}: {why}" for name, why in {**NOT_SEEN, **NO_ALERT}.items()),
        "",
        "groups:",
        "  - name: matricula-slo",
        "    rules:",
    ]
    for number, rule in enumerate(rules_of(objectives)):
        lines += [*([""] if number else []), *rule.lines(objectives.alerting.hold_minutes)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the rules, or with `--check` compare them; the exit code is 1 when they differ."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.alert_rules", description="Write the alert rules that follow from loadtests/slo.toml."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the file differs")
    parser.add_argument("--output", type=Path, default=RULES_FILE, help="default: deploy/observability/slo_alerts.yml")
    arguments = parser.parse_args()
    try:
        text = render(read_objectives(SLO_FILE.read_text(encoding="utf-8")))
    except (ValueError, NoMeaning) as error:
        print(error, file=sys.stderr)
        return 2
    if not arguments.check:
        arguments.output.write_text(text, encoding="utf-8")
        print(f"{arguments.output}: {text.count('- alert:')} alerts.")
        return 0
    if arguments.output.exists() and arguments.output.read_text(encoding="utf-8") == text:
        return 0
    print(f"{arguments.output} isn't what slo.toml gives: run `python -m loadtests.alert_rules`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
