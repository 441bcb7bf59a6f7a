"""The base of all scenarios: requests whose every answer is checked, in a closed or an open model.

Closed (Locust's own): each of `--users` people visits, waits `--think` seconds and visits again, so a slow system is
asked less. Open (`--open-model`): each of `--users` stands for one visit a second on average, at random times (a
Poisson process), whatever the answers: `--users 200` is 200 arrivals a second, on however many processes. A latency
then counts from the moment at which the visit should have begun, so a stall is felt by all who came during it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import gevent
from locust import FastHttpUser

from loadtests import plugin
from loadtests.accounts import Accounts, SetupFailed
from loadtests.answers_checked import Answer, Check, what_is_wrong
from loadtests.recorder import CHECK, Recorder

DEFAULT_HOST = "http://127.0.0.1:8000"
NETWORK_TIMEOUT_SECONDS = 15.0
_NO_REDIRECTS: frozenset[int] = frozenset()

plugin.install()


class Scenario(FastHttpUser):
    """Someone who uses the system. Its tasks are visits: they hold no state from one to the next unless they say so."""

    abstract = True
    scenario: ClassVar[str] = ""
    """The name in reports and in slo.toml."""

    host: str | None = DEFAULT_HOST
    network_timeout = NETWORK_TIMEOUT_SECONDS
    connection_timeout = NETWORK_TIMEOUT_SECONDS
    concurrency = 1000

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        # Instead of allow_redirects=False for each request, which isn't safe for requests side by side.
        vars(self.client.client)["redirect_response_codes"] = _NO_REDIRECTS
        self._in_flight = 0

    def context(self) -> dict[str, str]:
        return {"scenario": self.scenario}

    @property
    def accounts(self) -> Accounts:
        """The run's accounts."""
        found: Accounts = self.environment.matricula.accounts
        return found

    @property
    def recorder(self) -> Recorder:
        """Where this process records."""
        found: Recorder = self.environment.matricula.recorder
        return found

    @property
    def options(self) -> Any:
        """The parsed command line."""
        return self.environment.parsed_options

    def wait_time(self) -> float:
        return random.uniform(0.5, 1.5) * float(self.options.think)

    def call(
        self,
        method: str,
        path: str,
        name: str,
        *,
        token: str | None = None,
        expected: tuple[int, ...] = (200,),
        check: Check | None = None,
        headers: Mapping[str, str] | None = None,
        **sent: Any,
    ) -> Answer | None:
        """Send a request and check its answer; None when there is none or it is wrong.

        Args:
            method: The method.
            path: The path, or a whole URL.
            name: The route, as reports group it.
            token: Goes into Authorization.
            expected: The statuses that are right.
            check: What the content must be.
            headers: More of them.
            sent: `json` or `data`.
        """
        all_headers = {**(headers or {})}
        if token is not None:
            all_headers["Authorization"] = f"Bearer {token}"
        sender = gevent.getcurrent()
        with self.client.request(method, path, name=name, catch_response=True, headers=all_headers, **sent) as response:
            intended = sender.__dict__.pop("intended", None) if hasattr(sender, "__dict__") else None
            if intended is not None:
                response.request_meta["response_time"] = (time.perf_counter() - intended) * 1000
            if not response.status_code:
                response.failure(f"no answer ({type(response.error).__name__})")
                return None
            answer = Answer(
                response.status_code,
                _one_line_each(response.headers),
                response.content or b"",
            )
            if wrong := what_is_wrong(answer, expected, check):
                response.failure(wrong)
                return None
            response.success()
            return answer

    def finding(self, name: str, message: str) -> None:
        """Report what no single request's answer shows."""
        self.environment.events.request.fire(
            request_type=CHECK,
            name=name,
            response_time=0,
            response_length=0,
            exception=AssertionError(message),
            context=self.context(),
        )

    def timing(self, name: str, milliseconds: float, wrong: str | None = None) -> None:
        """Report a time that isn't one request's."""
        self.environment.events.request.fire(
            request_type="TIME",
            name=name,
            response_time=milliseconds,
            response_length=0,
            exception=AssertionError(wrong) if wrong else None,
            context=self.context(),
        )

    def on_start(self) -> None:
        """Prepare what the visits need; a system that can't be prepared ends the run with its own exit code.

        In the open model it doesn't return: visits are started here instead of by Locust's task loop.
        """
        try:
            self.prepare()
        except SetupFailed as failure:
            self.environment.matricula.fail_setup(str(failure))
            # Ends this person as Locust's StopUser does, which it would log as an error, with where it comes from.
            raise gevent.GreenletExit from None
        if self.options.open_model:
            self._arrive()

    def prepare(self) -> None:
        """What a scenario does before its first visit."""

    def _arrive(self) -> None:
        visits = [task for task in self.tasks if callable(task)]
        most = int(self.options.most_in_flight)
        due = time.perf_counter() + random.expovariate(1.0)
        while True:
            gevent.sleep(max(0.0, due - time.perf_counter()))
            self.recorder.arrivals[self.scenario] += 1
            if self._in_flight >= most:
                self.recorder.dropped[self.scenario] += 1
            else:
                self._in_flight += 1
                visit = gevent.Greenlet(self._one_visit, random.choice(visits))
                visit.intended = due
                self.environment.matricula.visits.start(visit)
            due += random.expovariate(1.0)

    def _one_visit(self, visit: Any) -> None:
        try:
            visit(self)
        except Exception as error:
            self.finding("a visit", f"{type(error).__name__} in the scenario itself")
            raise
        finally:
            self._in_flight -= 1


def _one_line_each(headers: Any) -> dict[str, str]:
    """Names in lower case; what came several times has its values on lines of their own."""
    found: dict[str, str] = {}
    for name, value in headers.items() if headers is not None else ():
        key = name.lower()
        found[key] = f"{found[key]}\n{value}" if key in found else value
    return found
