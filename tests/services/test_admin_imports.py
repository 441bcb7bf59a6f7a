"""The list of imports and the pages of one, as admin_ui makes them of a scripted gateway's answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripted_gateway import Person, ScriptedGateway, a_page, admin_ui_client


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    found = ScriptedGateway()
    yield found
    found.close()


@pytest.fixture
def person(gateway: ScriptedGateway, tmp_path: Path, redis_url: str) -> Iterator[Person]:
    with admin_ui_client(gateway, tmp_path, redis_url) as client:
        yield Person(client, gateway)


def test_a_page_that_is_asked_wrongly_says_what_is_wrong_once(person: Person, gateway: ScriptedGateway) -> None:
    person.sign_in("registrar")
    batch = "0199ffff-0000-7000-8000-000000000001"
    gateway.refuses(
        f"GET /students/imports/{batch}", 422, "The request has values that can't be accepted.",
        outcome="must be one of created, error",
    )  # fmt: skip
    answer = person.get(f"/admin/students/imports/{batch}?outcome=odd")
    assert answer.status_code == 422
    assert "The outcome must be one of created, error." in answer.text
    assert "The request has values" not in answer.text


@pytest.mark.parametrize("role", ["viewer", "registrar"])
def test_who_may_only_read_is_told_nothing_of_undoing_and_selecting(
    person: Person, gateway: ScriptedGateway, role: str
) -> None:
    for kind in ("imports", "bulk"):
        gateway.says(f"GET /students/{kind}", body=a_page())
    person.sign_in(role)
    page = person.get("/admin/imports").text
    for offered in ("with its undo", "Select students in the list", "Import students"):
        assert (offered in page) == (role == "registrar"), offered
