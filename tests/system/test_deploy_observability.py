"""What Prometheus, its alerts and the dashboard ask for exists: metrics, labels, processes, sections of the runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no type information
from prometheus_client import REGISTRY

import gateway.gateway_metrics
import servicekit.health
import servicekit.http_metrics
import servicekit.log_sink
from loadtests.alert_rules import BUCKETS, SLO_FILE, NoMeaning, bucket_for, render
from loadtests.slo import read_objectives

REPOSITORY = Path(__file__).resolve().parent.parent.parent
OBSERVABILITY = REPOSITORY / "deploy" / "observability"
DEFINED_IN = (gateway.gateway_metrics, servicekit.health, servicekit.http_metrics, servicekit.log_sink)
SCRAPERS_OWN = {"up": frozenset[str]()}
SCRAPERS_LABELS = {"job", "instance", "le"}

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
LABEL_LIST = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
RANGE = re.compile(r"\[[^\]]*\]")
NAME = re.compile(r"(?<![\w.:$])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
WORDS = {"and", "or", "unless", "bool", "offset"}


def series_of_the_code() -> dict[str, frozenset[str]]:
    """Every series' name with its labels, as the code defines them; those of the process itself have none."""
    assert DEFINED_IN
    series = {}
    for collector, names in REGISTRY._collector_to_names.items():
        labels = frozenset(getattr(collector, "_labelnames", ()))
        series.update(dict.fromkeys(names, labels))
    return series


def alerts() -> list[dict[str, Any]]:
    scraping = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    documents = [yaml.safe_load((OBSERVABILITY / name).read_text()) for name in scraping["rule_files"]]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    document = json.loads((OBSERVABILITY / "grafana-dashboard.json").read_text())
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return sorted({*asked, *(rule["expr"] for rule in alerts())})


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_asked_for_is_one_of_the_codes(expression: str) -> None:
    known = series_of_the_code() | SCRAPERS_OWN
    text = QUOTED.sub('""', expression)
    asked: set[str] = set()
    for name, matchers in SELECTOR.findall(text):
        assert name in known
        asked.add(name)
        labels = {re.split("[=!]", matcher)[0].strip() for matcher in matchers.split(",")}
        assert labels <= known[name] | SCRAPERS_LABELS, name
    grouped = {label.strip() for labels in LABEL_LIST.findall(text) for label in labels.split(",")}
    bare = RANGE.sub("", LABEL_LIST.sub("", SELECTOR.sub("", text)))
    asked |= {name for name in NAME.findall(bare) if name not in WORDS}
    assert asked
    assert asked <= known.keys()
    assert grouped <= SCRAPERS_LABELS.union(*(known[name] for name in asked))


def test_every_alert_says_how_urgent_it_is_and_where_the_runbook_has_it() -> None:
    headings = re.findall(r"^#+ (.+)$", (REPOSITORY / "docs" / "operations.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    assert alerts()
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] in anchors, rule["alert"]


def test_the_rules_that_prometheus_reads_are_all_there_and_given_to_its_container() -> None:
    scraping = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    assert set(scraping["rule_files"]) == {path.name for path in OBSERVABILITY.glob("*alerts.yml")}
    mounted = yaml.safe_load((OBSERVABILITY / "compose.yaml").read_text())["services"]["prometheus"]["volumes"]
    for name in scraping["rule_files"]:
        assert f"./deploy/observability/{name}:/etc/prometheus/{name}:ro" in mounted


def test_the_alerts_on_objectives_are_what_the_load_tests_objectives_give() -> None:
    committed = (OBSERVABILITY / "slo_alerts.yml").read_text()
    assert committed == render(read_objectives(SLO_FILE.read_text())), "run `python -m loadtests.alert_rules`"
    assert BUCKETS == servicekit.http_metrics.BUCKETS


def test_an_objective_between_two_buckets_is_watched_at_the_next_one_above() -> None:
    assert [bucket_for(limit) for limit in (1, 50, 51, 150, 10_000)] == [0.001, 0.05, 0.1, 0.25, 10.0]
    with pytest.raises(NoMeaning, match="above every bucket"):
        bucket_for(10_001)


def test_another_objective_gives_another_rule_and_an_unknown_scenario_an_error() -> None:
    changed = render(read_objectives("[scenarios.browsing]\np95_ms = 90\n[alerts]\nwindow_minutes = 7"))
    (rule,) = [each for each in yaml.safe_load(changed)["groups"][0]["rules"] if each["alert"] == "BrowsingSlow"]
    assert 'le="0.1"' in rule["expr"]
    assert "> 0.05" in rule["expr"]
    assert "[7m]" in rule["expr"]
    with pytest.raises(NoMeaning, match="strolling"):
        render(read_objectives("[scenarios.strolling]\np95_ms = 90"))


def test_prometheus_scrapes_every_process_where_compose_has_it() -> None:
    scraping = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
    where = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraping["scrape_configs"]}
    ports = {name: each["environment"]["PORT"] for name, each in compose["services"].items() if "PORT" in str(each)}
    ports = {name: port for name, port in ports.items() if port}
    assert where == {f"matricula-{name}": [f"{name}:{port}"] for name, port in ports.items()}
    assert all(job["authorization"]["credentials_file"] == "metrics_token" for job in scraping["scrape_configs"])


def test_the_dashboards_panels_lie_beside_each_other_and_have_numbers_of_their_own() -> None:
    document = json.loads((OBSERVABILITY / "grafana-dashboard.json").read_text())
    numbers = [panel["id"] for panel in document["panels"]]
    assert len(numbers) == len(set(numbers))
    cells = [
        (x, y)
        for panel in document["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
