"""The list of imports and the pages of one, as admin_ui makes them of a scripted gateway's answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted_gateway import MOMENT, Person, ScriptedGateway, a_page, admin_ui_client

BATCH = "0199ffff-0000-7000-8000-000000000001"


def a_batch(**fields: Any) -> dict[str, Any]:
    """An import that is done, as the API shows one."""
    rows = {"rows_total": 2, "rows_read": 2, "rows_applied": 2, "rows_undone": 0, "rows_kept": 0, "kept": []}
    can = {"can_commit": False, "can_commit_rest": False, "can_undo": True, "undone_at": None, "undone_by": None}
    told = {"id": BATCH, "kind": "imports", "state": "done", "created_at": MOMENT, "by": {"id": "1", "username": "ada"}}
    return {**told, **rows, **can, "counts": {"created": 2}, "message": None, **fields}


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


@pytest.mark.parametrize(
    ("fields", "chosen", "asked"),
    [
        ({}, "", "limit=50"),
        ({}, "?outcome=nonsense", "limit=50"),
        ({}, "?outcome=error", "limit=50&outcome=error"),
        ({"counts": {"created": 1, "error": 1}}, "", "limit=50&outcome=error"),
        ({"counts": {"created": 1, "error": 1}}, "?outcome=all", "limit=50"),
        ({"state": "applying"}, "", "limit=50&outcome=error"),
    ],
)
def test_the_rows_shown_first_are_those_with_errors_and_without_any_all_of_them(
    person: Person, gateway: ScriptedGateway, fields: dict[str, Any], chosen: str, asked: str
) -> None:
    gateway.says(f"GET /students/imports/{BATCH}", body=a_batch(**fields))
    gateway.says(f"GET /students/imports/{BATCH}/rows", body=a_page())
    person.sign_in("registrar")
    page = person.get(f"/admin/students/imports/{BATCH}{chosen}")
    assert page.status_code == 200, page.text
    assert [query for query, _ in gateway.calls(f"GET /students/imports/{BATCH}/rows")] == [asked]
    tab = "error" if "outcome=error" in asked else "all"
    assert f'?outcome={tab}" aria-current="page"' in page.text
    # A page that renews itself shows all that was done in the end, unless its reader chose otherwise.
    assert (f'hx-get="/admin/students/imports/{BATCH}"' in page.text) == (fields.get("state") == "applying")
