"""How cost grows with one thing at a time: connections, body size, routes, tokens, denylist, workers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.compare.bed import Bed, add_document, fill_denylist
from loadtests.compare.contenders import CONTENDERS, DIRECT, ENVOY, OURS, Running, start_direct, start_ours
from loadtests.compare.installing import Missing
from loadtests.compare.processes import GATEWAY_CORE, OTHER_CORE, Child, DidNotStart
from loadtests.compare.sessions import Sessions
from loadtests.compare.wrk import Load, MeasurementFailed, measure
from loadtests.plain_client import ask

SECONDS = 2.0
ROUNDS = 5
FLAT_ROUNDS = 7  # where a cost is to be shown not to grow
WARM_UP_SECONDS = 1.0
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SIZES = (0, 1_024, 16_384, 65_536, 262_144, 1_048_576)
ROUTES = (3, 30, 300, 1_000)
TOKENS = (1, 100, 10_000, 100_000)
DENYLIST = (0, 1_000, 100_000, 1_000_000)
RELOAD_SECONDS = 10.0
FIRST_SIGHTS_PER_SECOND = 2_500  # of tokens, verification included, about


@dataclass(frozen=True)
class Point:
    """One measurement: medians over the rounds."""

    x: int
    requests_per_second: float
    p50: float
    p99: float
    cpu_microseconds: float | None
    megabytes_per_second: float

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


Series = dict[str, list[dict[str, Any]]]


def run_sweeps(bed: Bed, sessions: Sessions) -> list[dict[str, Any]]:
    """All sweeps, one after the other; each entry has a name, a title, and a series of points by contender."""
    plans: Sequence[tuple[str, str, Callable[[Bed, Sessions], Series]]] = (
        ("connections", "Connections at once", sweep_connections),
        ("download", "Bytes in the answer, 16 connections", sweep_downloads),
        ("upload", "Bytes in the request, 16 connections", sweep_uploads),
        ("routes", "Routes in the table", sweep_routes),
        ("denylist", "Revoked sessions in the denylist", sweep_denylist),
        ("tokens", "Different Authorization headers in use, taken at random", sweep_tokens),
        ("workers", "Workers (the second one shares its core with wrk, the upstream and Valkey)", sweep_workers),
    )
    done = []
    for name, title, plan in plans:
        print(f"  {title} ...", flush=True)
        try:
            series = plan(bed, sessions)
        except (DidNotStart, MeasurementFailed) as error:
            print(f"    left out: {error}", flush=True)
            continue
        done.append({"name": name, "title": title, "series": series})
        for contender, points in series.items():
            line = "  ".join(f"{point['x']:,}: {point['requests_per_second']:,.0f}" for point in points)
            print(f"    {contender}: {line}", flush=True)
    return done


def sweep_connections(bed: Bed, sessions: Sessions) -> Series:
    """Ours, Envoy, and no gateway at all, with more and more connections."""
    return _with_peers(bed, sessions, CONNECTIONS, lambda load, count: replace(load, connections=count))


def sweep_downloads(bed: Bed, sessions: Sessions) -> Series:
    """Answers of some sizes."""
    paths = {size: add_document(bed, size) for size in SIZES}
    return _with_peers(bed, sessions, SIZES, lambda load, size: replace(load, path=paths[size], connections=16))


def sweep_uploads(bed: Bed, sessions: Sessions) -> Series:
    """Bodies of some sizes, which the upstream reads and drops."""
    return _with_peers(bed, sessions, SIZES[1:], lambda load, size: replace(load, body_bytes=size, connections=16))


def sweep_routes(bed: Bed, sessions: Sessions) -> Series:
    """One gateway that is given tables of some lengths."""
    table = bed.work / "routes.toml"
    table.write_text(_route_table(ROUTES[0]))
    gateway = start_ours(bed, sessions, settings={"ROUTES_FILE": str(table)})

    def reload(count: int) -> None:
        table.write_text(_route_table(count))
        assert gateway.child is not None  # noqa: S101 - ours is always a child
        gateway.child.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + RELOAD_SECONDS
        while ask("GET", f"http://127.0.0.1:{gateway.port}{_mark(count)}").status != 401:
            if time.monotonic() > deadline:
                raise MeasurementFailed(f"no table of {count} routes within {RELOAD_SECONDS:g} seconds of SIGHUP")

    return _while_one_changes(bed, gateway, ROUTES, reload, lambda _: Load(token=gateway.token))


def sweep_tokens(bed: Bed, sessions: Sessions) -> Series:
    """One gateway that has verified all tokens, and of which some numbers are sent.

    wrk has as many different requests to send at each step: a hundred thousand of them slow it, and with it the
    gateway, whose turns of the event loop then have less to do at once.
    """
    files = {count: sessions.write(count) for count in TOKENS}
    gateway = start_ours(bed, sessions)
    _show_all(gateway.port, files[max(TOKENS)], max(TOKENS))
    return _while_one_changes(
        bed, gateway, TOKENS, lambda _: None, lambda count: Load(tokens_file=files[count], at_random=max(TOKENS))
    )


def _show_all(port: int, tokens: Path, count: int) -> None:
    """Have a gateway verify all tokens of a file: wrk sends them in order, until a run came to the last one."""
    seconds = 1 + count / FIRST_SIGHTS_PER_SECOND
    while measure(port, Load(tokens_file=tokens), seconds).requests < count:
        seconds += 5


def sweep_denylist(bed: Bed, sessions: Sessions) -> Series:
    """One gateway, while the denylist grows and shrinks."""
    gateway = start_ours(bed, sessions)
    series = _while_one_changes(
        bed, gateway, DENYLIST, lambda count: fill_denylist(bed, count), lambda _: Load(token=gateway.token)
    )
    fill_denylist(bed, 0)
    return series


def sweep_workers(bed: Bed, sessions: Sessions) -> Series:
    """One worker on the gateway's core; two on both cores."""
    gateways = {
        count: start_ours(bed, sessions, cores=cores, settings={"WORKERS": str(count)})
        for count, cores in ((1, GATEWAY_CORE), (2, f"{GATEWAY_CORE},{OTHER_CORE}"))
    }
    return {OURS: _in_turns(bed, gateways, lambda running, _: Load(token=running.token))}


def _with_peers(bed: Bed, sessions: Sessions, steps: Sequence[int], load_of: Callable[[Load, int], Load]) -> Series:
    """The same steps for ours, Envoy (if it can be had) and the upstream alone, step by step in turns."""
    peers = {OURS: start_ours(bed, sessions)}
    envoy = next(contender for contender in CONTENDERS if contender.name == ENVOY)
    try:
        peers[ENVOY] = envoy.start(bed, sessions)
    except (Missing, DidNotStart) as error:
        print(f"    without Envoy: {error}", flush=True)
    peers[DIRECT] = start_direct(bed, sessions)
    series: Series = {name: [] for name in peers}
    for step in steps:
        for name, running in peers.items():
            load = load_of(Load(token=running.token), step)
            series[name].append(_point(step, running.child, [load], running.port))
    for running in peers.values():
        _stop(bed, running)
    return series


def _while_one_changes(
    bed: Bed,
    gateway: Running,
    steps: Sequence[int],
    change: Callable[[int], None],
    load_of: Callable[[int], Load],
) -> Series:
    """One gateway in rounds through all steps, there and back; each point also tells its CPU cost as a multiple of the
    first step's in the same round (``cpu_of_first``, the rounds' median).

    A process for each step would compare processes: four that did the same took 150 to 190, 122 to 206, 116 to 139 and
    118 to 138 µs. And a machine that drifts must not pass for a long list.
    """
    rounds: dict[int, list[dict[str, Any]]] = {step: [] for step in steps}
    for number in range(FLAT_ROUNDS):
        for step in _there_and_back(steps, number):
            change(step)
            measure(gateway.port, load_of(step), WARM_UP_SECONDS)  # while Valkey, beside wrk, resizes its table
            rounds[step].append(_point(step, gateway.child, [load_of(step)], gateway.port))
    _stop(bed, gateway)
    points = _medians(rounds)
    for point in points:
        pairs = zip(rounds[point["x"]], rounds[steps[0]], strict=True)
        point["cpu_of_first"] = round(
            median(one["cpu_microseconds"] / two["cpu_microseconds"] for one, two in pairs), 3
        )
    return {OURS: points}


def _in_turns(bed: Bed, gateways: dict[int, Running], load_of: Callable[[Running, int], Load]) -> list[dict[str, Any]]:
    """One gateway for each step, measured in rounds, then ended."""
    rounds: dict[int, list[dict[str, Any]]] = {step: [] for step in gateways}
    for number in range(ROUNDS):
        for step in _there_and_back(tuple(gateways), number):
            running = gateways[step]
            rounds[step].append(_point(step, running.child, [load_of(running, step)], running.port))
    for running in gateways.values():
        _stop(bed, running)
    return _medians(rounds)


def _there_and_back(steps: Sequence[int], number: int) -> Sequence[int]:
    """The steps in the order of a round: every other round backwards."""
    return steps[::-1] if number % 2 else steps


def _medians(rounds: dict[int, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One point for each step."""
    return [
        {key: median(point[key] for point in points) if points[0][key] is not None else None for key in points[0]}
        for points in rounds.values()
    ]


def _point(step: int, child: Child | None, loads: Sequence[Load], port: int) -> dict[str, Any]:
    results, costs = [], []
    for load in loads:
        used = child.cpu_seconds() if child else 0.0
        results.append(measure(port, load, SECONDS))
        costs.append(((child.cpu_seconds() if child else 0.0) - used) / results[-1].requests * 1e6)
    return Point(
        step,
        median(result.requests_per_second for result in results),
        median(result.p50 for result in results),
        median(result.p99 for result in results),
        round(median(costs), 1) if child else None,
        median(result.megabytes_per_second for result in results),
    ).as_dict()


def _stop(bed: Bed, running: Running) -> None:
    if running.child is not None:
        bed.children.stop(running.child)


def _mark(count: int) -> str:
    return f"/table-of-{count}"


def _route_table(count: int) -> str:
    """``count`` routes, among them the one that is asked for and one that tells the table from others."""
    lines = ["[upstreams.student_service]", 'env = "STUDENT_SERVICE_URL"', ""]
    for number in range(count - 1):
        prefix = f"/service-{number}" if number % 2 else f"/service-{number}/part"
        prefix = prefix if number else _mark(count)
        lines += ["[[routes]]", f'prefix = "{prefix}"', 'upstream = "student_service"', 'access = "bearer"']
        lines += ['methods = { GET = "students:read" }', ""]
    lines += ["[[routes]]", 'prefix = "/students"', 'upstream = "student_service"', 'access = "bearer"']
    return "\n".join([*lines, 'methods = { GET = "students:read", POST = "students:write" }', ""])
