"""Puts a run's tables into docs/performance.md, between its markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loadtests.compare.gateway_profile import profile_table
from loadtests.compare.summary import as_markdown, comparison_table, memory_growth, sweep_table, targets_table


def write_document(path: Path, values: dict[str, Any]) -> None:
    """Replace what stands between ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->``.

    Raises:
        ValueError: A pair of markers is missing.
    """
    text = path.read_text(encoding="utf-8")
    machine = values["machine"]
    where = (
        f"{values['finished']}: {machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['Python']}, wrk {machine['wrk']}; {values['rounds']} rounds of {values['seconds']:g} s."
    )
    rows = ["| contender | version | what it does and doesn't |", "| --- | --- | --- |"]
    rows += [f"| {row['title']} | {row['version']} | {row['does']} |" for row in values["contenders"]]
    rows += [f"| {each['title']} | skipped | {each['reason']} |" for each in values["skipped"]]
    text = _put(text, "contenders", "\n".join(rows))
    text = _put(text, "result", f"{where}\n\n{as_markdown(comparison_table(values))}")
    text = _put(text, "targets", as_markdown(targets_table(values)))
    if sweeps := values.get("sweeps"):
        tables = [f"**{sweep['title']}**\n\n{as_markdown(sweep_table(sweep))}" for sweep in sweeps]
        text = _put(text, "sweeps", "\n\n".join(tables))
    if profile := values.get("profile"):
        text = _put(text, "profile", _profile(profile))
    if memory := values.get("memory"):
        text = _put(text, "memory", _memory(memory))
    path.write_text(text, encoding="utf-8")


def _profile(profile: dict[str, Any]) -> str:
    tables = [as_markdown(profile_table(profile, what)) for what in ("parts", "functions")]
    seen = f"{profile['microseconds']:.0f} µs of processor time a request, {profile['samples']:,} samples."
    return "\n\n".join([seen, *tables])


def _memory(samples: list[dict[str, Any]]) -> str:
    step = max(1, len(samples) // 10)
    table = [["after", "resident"]]
    shown = [*samples[:-1:step], samples[-1]]
    table += [[f"{sample['seconds']:.0f} s", f"{sample['megabytes']:.1f} MB"] for sample in shown]
    return f"{as_markdown(table)}\n\nGrowth after the first minute: {memory_growth(samples):+.1%}."


def _put(text: str, name: str, content: str) -> str:
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"docs/performance.md has no {begin} … {end}")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"
