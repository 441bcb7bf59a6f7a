"""Offered load above the limit: exactly the quota passes, the 429s tell the truth, others aren't harmed.

Each burst has two accounts of its own, hence fresh quotas. One sends more than it allows, many requests at a time.
What must hold (the contract): of the requests on a fresh key exactly the quota passes; a 429's `Retry-After` is long
enough; somebody else's requests pass meanwhile. The quota is read from `RateLimit-Policy`.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import gevent
from gevent.event import Event
from locust import tag, task

from loadtests import answers_checked
from loadtests.answers_checked import Answer
from loadtests.scenario import Scenario

POLICY = re.compile(r'"(?P<name>[^"]*)";q=(?P<quota>\d+);w=(?P<window>\d+)')
OVERLOAD = 1.3
AT_ONCE = 20
OTHER_PAUSE_SECONDS = 0.05
ROUTE = "/students/ over the limit"
LONGEST_WAIT_SECONDS = 90


@dataclass(frozen=True)
class Sent:
    """One request of a burst: when it left, when its answer came, and the answer."""

    at: float
    until: float
    answer: Answer | None


class RateLimits(Scenario):
    """A person who asks for more than their share, and another who doesn't."""

    scenario = "rate-limits"

    def prepare(self) -> None:
        self.accounts.token("registrar")  # whether accounts can be made shows before the first visit

    @tag("limits")
    @task
    def overload(self) -> None:
        """One burst on a fresh quota."""
        account, other = self.accounts.make("viewer"), self.accounts.make("registrar")
        self.accounts.sign_in(account)
        self.accounts.sign_in(other)
        first = self._send(account.access_token)
        found = POLICY.match(first.answer.headers.get("ratelimit-policy", "")) if first.answer else None
        if first.answer is None or found is None:
            self.finding(ROUTE, "no RateLimit-Policy on an answer")
            gevent.sleep(1)
            return
        quota, window = int(found["quota"]), int(found["window"])
        if quota > self.options.highest_quota:
            why = f"the quota of {quota} is above --highest-quota {self.options.highest_quota}"
            self.environment.matricula.fail_setup(f"rate-limits: {why}: start the system with a lower RATE_LIMIT_USER")
            gevent.sleep(60)
            return
        sent = [first, *self._burst(account.access_token, other.access_token, quota)]
        self._judge(sent, quota, window)
        self._wait_as_told(sent, account.access_token)

    def _burst(self, token: str, others_token: str, quota: int) -> list[Sent]:
        is_over, sent = Event(), list[Sent]()
        left = iter(range(int(quota * OVERLOAD)))

        def send_what_is_left() -> None:
            for _ in left:
                sent.append(self._send(token))

        other = gevent.spawn(self._other, others_token, quota, is_over)
        # Not a pool's map(): it goes on to send, by a greenlet that nobody can stop, when this person is taken away.
        senders = [gevent.spawn(send_what_is_left) for _ in range(AT_ONCE)]
        try:
            gevent.joinall(senders, raise_error=True)
            is_over.set()
            other.join()
        finally:
            gevent.killall([*senders, other])  # if this person is taken away in mid-burst
        return sent

    def _send(self, token: str) -> Sent:
        at = time.monotonic()
        answer = self.call(
            "GET", "/students/?limit=1", ROUTE, token=token, expected=(200, 429), check=_tells_of_the_limit
        )
        return Sent(at, time.monotonic(), answer)

    def _other(self, token: str, quota: int, is_over: Event) -> None:
        """Somebody who stays within their limit, until the burst is over; what they asked meanwhile is waited for.

        Whoever is kept waiting by the burst is the one whom the limiter harms, so their answer counts however late.
        """
        page = answers_checked.page_of_students(1)
        for _ in range(quota):
            self.call(
                "GET",
                "/students/?limit=1",
                "/students/ somebody else",
                token=token,
                check=page,
            )
            if is_over.wait(OTHER_PAUSE_SECONDS):
                return

    def _judge(self, sent: list[Sent], quota: int, window: int) -> None:
        began = sent[0].at
        counted = [each for each in sent if each.answer is not None and each.until < began + window]
        passed = sum(each.answer.status == 200 for each in counted if each.answer)
        if passed > quota:
            self.finding(ROUTE, f"the limiter lets {_percent(passed, quota)} through: too many")
        elif len(counted) > quota > passed:
            self.finding(ROUTE, f"the limiter lets only {_percent(passed, quota)} through: a 429 too early")
        elif len(counted) <= quota:
            self.finding(ROUTE, "the system was too slow to reach the limit within its window")

    def _wait_as_told(self, sent: list[Sent], token: str) -> None:
        """Whoever comes back after Retry-After is let in."""
        refused = [each for each in sent if each.answer is not None and each.answer.status == 429]
        if not refused or refused[-1].answer is None:
            return
        last = refused[-1]
        seconds = int(refused[-1].answer.headers["retry-after"])
        if seconds > LONGEST_WAIT_SECONDS:
            self.finding(ROUTE, "a Retry-After longer than any window here")
            return
        gevent.sleep(max(0.0, last.until + seconds - time.monotonic()))
        answer = self.call(
            "GET", "/students/?limit=1", "/students/ after Retry-After", token=token, expected=(200, 429)
        )
        if answer is not None and answer.status == 429:
            self.finding(ROUTE, "Retry-After isn't true: refused again after waiting as told")


def _percent(passed: int, quota: int) -> str:
    return f"{round(passed / quota * 100)} % of the quota"


def _tells_of_the_limit(answer: Answer) -> str | None:
    if not answer.headers.get("ratelimit"):
        return "no RateLimit field"
    if answer.status == 429 and not answer.headers.get("retry-after", "").isdecimal():
        return "a 429 without Retry-After"
    return None
