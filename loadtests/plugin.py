"""Joins the suite to Locust: its arguments, what is run by default, what is recorded, the verdict at the end."""

from __future__ import annotations

import os
import platform
import time
from typing import Any
from urllib.parse import urlsplit

import gevent
import psutil
from locust import events
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from loadtests import shapes, text_report
from loadtests.load_run import LoadRun, say
from loadtests.recorder import CHECK
from loadtests.run_options import add_options

MESSAGE, END = "matricula", "matricula-end"
"""What a worker measured since it last told, and the request to stop and tell the rest."""

LAST_PART_SECONDS = 15.0
SAMPLE_SECONDS = 1.0
_installed: list[bool] = []


def install() -> None:
    """Listen to Locust's events; once, however often this is called."""
    if _installed:
        return
    _installed.append(True)
    events.init_command_line_parser.add_listener(add_options)
    events.init.add_listener(_on_init)
    events.test_start.add_listener(_on_test_start)
    events.test_stop.add_listener(_on_test_stop)
    events.request.add_listener(_on_request)
    events.reset_stats.add_listener(_on_reset)
    events.quitting.add_listener(_on_quitting)


_current: dict[str, LoadRun] = {}


def _on_init(environment: Any, runner: Any, web_ui: Any, **_: Any) -> None:
    options = environment.parsed_options
    if environment.host and urlsplit(environment.host).scheme not in ("http", "https"):
        say(f"--host {environment.host}: a whole URL is needed, such as http://127.0.0.1:8000")
        raise SystemExit(2)

    def quit_run() -> None:
        gevent.spawn(runner.quit)

    try:
        run = environment.matricula = _current["run"] = LoadRun(environment, quit_run)
    except (OSError, ValueError) as error:
        say(f"--slo or --baseline: {error}")
        raise SystemExit(2) from None
    _quieten(options)
    _choose_users(environment, web_ui)
    _choose_shape(environment, runner)
    if isinstance(runner, MasterRunner):
        runner.register_message(MESSAGE, lambda environment, msg, **_: _absorb(environment, msg))
    else:
        runner.greenlet.spawn(_sample, runner, run)
    if isinstance(runner, WorkerRunner):
        runner.register_message(END, lambda **_: runner.stop())
    if not isinstance(runner, WorkerRunner):
        runner.greenlet.spawn(_watch, runner, run, float(options.progress) if options.headless else 0.0)
    # Locust's timer for --run-time counts from the event loop's last look at the clock, and that was before all the
    # imports: without another look the run is as much shorter.
    gevent.get_hub().loop.update_now()


def _quieten(options: Any) -> None:
    """Leave the terminal to our table: Locust's own come last, with rounded percentiles. `--print-stats` wants them.

    Locust has no switch for its last tables; it leaves them out when its statistics go to a file.
    """
    if options.headless and not options.print_stats:
        options.only_summary = True
        options.json_file = options.json_file or os.devnull


def _choose_users(environment: Any, web_ui: Any) -> None:
    """The mix, when nobody was named."""
    if environment.parsed_options.user_classes or (web_ui and web_ui.userclass_picker_is_active):
        return
    by_name = {user.scenario: user for user in environment.user_classes if getattr(user, "scenario", "")}
    from loadtests.scenarios.mixed import MIX  # noqa: PLC0415 - it imports the scenarios, which import this module

    mix = {by_name[name]: weight for name, weight in MIX.items() if name in by_name}
    if mix and len(environment.user_classes) > 1:
        for user, weight in mix.items():
            if user.weight == 1:  # not weighted by --config-users
                user.weight = weight
        environment.user_classes[:] = list(mix)


def _choose_shape(environment: Any, runner: Any) -> None:
    available = {name: shape() for name, shape in shapes.BY_NAME.items()}
    for shape in available.values():
        shape.runner = runner
    environment.available_shape_classes = {type(shape).__name__: shape for shape in available.values()}
    if environment.parsed_options.shape:
        environment.shape_class = available[environment.parsed_options.shape]


def _on_test_start(environment: Any, **_: Any) -> None:
    from loadtests.scenario import DEFAULT_HOST  # noqa: PLC0415 - as above

    run: LoadRun = environment.matricula
    run.begin(
        environment.host or DEFAULT_HOST,
        with_accounts=not isinstance(environment.runner, MasterRunner),
        with_verdict=not isinstance(environment.runner, WorkerRunner),
    )


def _on_test_stop(environment: Any, **_: Any) -> None:
    run: LoadRun = environment.matricula
    runner = environment.runner
    run.visits.kill()  # before their accounts go, and nothing is to be counted after the last part
    if isinstance(runner, WorkerRunner):
        runner.send_message(MESSAGE, {**run.recorder.drain(), "is_last": True})  # before anything that takes time
    if isinstance(runner, MasterRunner):
        _wait_for_last_parts(runner, run)
    if run.accounts is not None:
        run.accounts.close()
    if environment.web_ui is not None:
        gevent.spawn_later(1, run.finish)


def _on_request(
    request_type: str, name: str, response_time: float, exception: Any = None, context: Any = None, **_: Any
) -> None:
    run = _current.get("run")
    if run is None:
        return
    route = name if request_type in (CHECK, "TIME") else f"{request_type} {name}"
    failure = None if exception is None else str(exception) or type(exception).__name__
    scenario = (context or {}).get("scenario", "other")
    run.recorder.request(scenario, route, None if request_type == CHECK else response_time, failure)


def _on_reset(**_: Any) -> None:
    if "run" in _current:
        _current["run"].recorder.clear()


def _on_quitting(environment: Any, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        environment.process_exit_code = 0  # the master has the verdict
        return
    if not environment.matricula.finished:
        environment.runner.quit()  # Ctrl-C comes here first; workers send what they have
    environment.process_exit_code = environment.matricula.finish()


def _absorb(environment: Any, message: Any) -> None:
    run: LoadRun = environment.matricula
    part = message.data
    if run.finished:
        return
    run.recorder.absorb(part)
    if part.get("is_last"):
        run.complete_workers.add(message.node_id)
    if part["setup_failures"]:
        gevent.spawn(environment.runner.quit)


def _wait_for_last_parts(runner: MasterRunner, run: LoadRun) -> None:
    """Have the workers stop and tell what they still have: Locust itself gives them half a second and hangs up."""
    deadline = time.monotonic() + LAST_PART_SECONDS

    def missing() -> set[str]:
        return {worker.id for worker in runner.clients.all if worker.state != STATE_MISSING} - run.complete_workers

    for worker in missing():
        runner.send_message(END, None, worker)
    while missing() and time.monotonic() < deadline:
        gevent.sleep(0.05)
    for worker in missing():
        run.remarks.append(f"{worker} didn't tell what it measured last, so the numbers are too small")


def _sample(runner: Any, run: LoadRun) -> None:
    """Sees how the generator fares, and in a worker tells the master what was recorded."""
    process = psutil.Process()
    name = "locust"
    process.cpu_percent()
    while True:
        due = time.perf_counter() + SAMPLE_SECONDS
        gevent.sleep(SAMPLE_SECONDS)
        delay_ms = (time.perf_counter() - due) * 1000
        if isinstance(runner, WorkerRunner):
            name = f"worker {runner.worker_index} on {platform.node()}"  # its number comes from the master
        if run.finished:
            process.cpu_percent()
            continue
        run.recorder.sample_process(name, process.cpu_percent(), max(0.0, delay_ms))
        if isinstance(runner, WorkerRunner):
            runner.send_message(MESSAGE, run.recorder.drain())


def _watch(runner: Any, run: LoadRun, progress_seconds: float) -> None:
    """Counts users each second, and prints a line now and then."""
    next_line = time.monotonic() + progress_seconds
    while True:
        gevent.sleep(SAMPLE_SECONDS)
        if run.finished:
            continue
        now = int(time.time())
        run.recorder.users[now] = runner.user_count  # before the first answers too: a master has them a second later
        if progress_seconds and run.recorder.seconds and time.monotonic() >= next_line:
            next_line = time.monotonic() + progress_seconds
            busiest = max((p.samples[-1][1] for p in run.recorder.processes.values() if p.samples), default=0.0)
            say(text_report.progress_line(run.recorder, now, runner.user_count, busiest))
