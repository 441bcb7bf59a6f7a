"""A session from sign-in to its end, and how soon after the end its token is worth nothing.

The contract has no window: from the answer to the logout on, every request with the token is refused. So each 200
after it is a failure, and *revoke to reject* is the time from that answer to the first refusal.
"""

from __future__ import annotations

import time

import gevent
from locust import tag, task

from loadtests import answers_checked
from loadtests.scenario import Scenario

LATER_LOOKS = 3
PAUSE_SECONDS = 0.1
REVOKE_TO_REJECT = "revoke to reject"


class SessionLife(Scenario):
    """A person who signs in, works, and signs out."""

    scenario = "session-life"

    def prepare(self) -> None:
        self.accounts.token("viewer")

    @tag("auth", "revocation")
    @task
    def live(self) -> None:
        """Sign in, read, refresh, sign out, try again."""
        account = self.accounts.shared("viewer")
        body = {"username": account.username, "password": account.password}
        signed_in = self.call("POST", "/auth/login", "/auth/login", json=body, check=answers_checked.tokens)
        if signed_in is None:
            return
        first = signed_in.json()
        page = answers_checked.page_of_students(1)
        self.call("GET", "/students/?limit=1", "/students/", token=first["access_token"], check=page)
        sent = {"refresh_token": first["refresh_token"]}
        renewed = self.call("POST", "/auth/refresh", "/auth/refresh", json=sent, check=answers_checked.tokens)
        if renewed is None:
            return
        second = renewed.json()
        if second["refresh_token"] == first["refresh_token"]:
            self.finding("/auth/refresh", "the spent refresh token is handed out again")
        signed_out = self.call("POST", "/auth/logout", "/auth/logout", token=second["access_token"], expected=(204,))
        if signed_out is not None:
            self._must_be_refused([second["access_token"], first["access_token"]])
            self.call(
                "POST",
                "/auth/refresh",
                "/auth/refresh after logout",
                json={"refresh_token": second["refresh_token"]},
                expected=(401,),
            )

    def _must_be_refused(self, revoked: list[str]) -> None:
        """Both tokens of the session, at once and a little later."""
        ended = time.perf_counter()
        rejected_after: float | None = None
        for look in range(LATER_LOOKS):
            for token in revoked:
                answer = self.call(
                    "GET", "/students/?limit=1", "/students/ revoked token", token=token, expected=(200, 401)
                )
                after = (time.perf_counter() - ended) * 1000
                if answer is None:
                    continue
                if answer.status == 200:
                    self.finding(REVOKE_TO_REJECT, "a revoked token still works")
                elif rejected_after is None:
                    rejected_after = after
            if look < LATER_LOOKS - 1:
                gevent.sleep(PAUSE_SECONDS)
        if rejected_after is not None:
            self.timing(REVOKE_TO_REJECT, rejected_after)
