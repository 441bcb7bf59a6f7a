"""Everybody signs in at eight o'clock: argon2 is in the way, by design."""

from __future__ import annotations

from locust import tag, task

from loadtests import answers_checked
from loadtests.scenario import Scenario


class SignInStorm(Scenario):
    """A person who signs in and looks at their own profile."""

    scenario = "sign-in"

    def prepare(self) -> None:
        self.accounts.token("viewer")

    @tag("auth")
    @task(9)
    def sign_in(self) -> None:
        """The right password."""
        account = self.accounts.shared("viewer")
        answer = self.call(
            "POST",
            "/auth/login",
            "/auth/login",
            json={"username": account.username, "password": account.password},
            check=answers_checked.tokens,
        )
        if answer is None:
            return

        def is_me(answer: answers_checked.Answer) -> str | None:
            return None if answer.json()["username"] == account.username else "wrong body: somebody else's profile"

        self.call("GET", "/auth/me", "/auth/me", token=answer.json()["access_token"], check=is_me)

    @tag("auth")
    @task(1)
    def mistype(self) -> None:
        """The wrong one: it is refused, and costs as much."""
        account = self.accounts.shared("viewer")
        self.call(
            "POST",
            "/auth/login",
            "/auth/login wrong password",
            json={"username": account.username, "password": "not the right one at all"},
            expected=(401,),
        )
