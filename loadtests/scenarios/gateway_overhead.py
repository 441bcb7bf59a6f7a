"""What the gateway costs: the same request straight to student_service and through the gateway, in turns.

Alternating, so that whatever else the machine does meets both alike. `--direct-url` says where the service is.
"""

from __future__ import annotations

import random
from typing import Any

from locust import tag, task

from loadtests import answers_checked
from loadtests.accounts import SetupFailed
from loadtests.plain_client import Unreachable, ask
from loadtests.scenario import DEFAULT_HOST, Scenario


class GatewayOverhead(Scenario):
    """A person who asks for the same student on two ways."""

    scenario = "gateway-overhead"
    student: dict[str, Any]

    def prepare(self) -> None:
        self.direct = self.options.direct_url.rstrip("/")
        token = self.accounts.token("viewer")
        host = self.environment.host or DEFAULT_HOST
        try:
            items = ask("GET", f"{host}/students/?limit=1", token=token).json()["items"]
            straight = ask("GET", f"{self.direct}/students/?limit=1", token=token)
        except Unreachable as error:
            raise SetupFailed(f"gateway-overhead needs --direct-url, the student_service itself: {error}") from None
        if straight.status != 200:
            raise SetupFailed(f"--direct-url {self.direct} is no student_service of this system: {straight.told()}")
        if not items:
            raise SetupFailed("gateway-overhead needs at least one student")
        self.student = items[0]

    @tag("read", "overhead")
    @task
    def ask_twice(self) -> None:
        """Direct and through the gateway, one first as often as the other."""
        token = self.accounts.token("viewer")
        check = answers_checked.one_student(id=self.student["id"])
        path = f"/students/{self.student['id']}"
        ways = [(self.direct + path, "/students/{id} direct"), (path, "/students/{id} gateway")]
        random.shuffle(ways)
        for url, name in ways:
            self.call("GET", url, name, token=token, check=check)
