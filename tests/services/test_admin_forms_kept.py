"""Whatever a form is answered, what was typed into it is still there, to be sent again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted_gateway import Person, ScriptedGateway, admin_ui_client
from tests.support.scripted_student import API, RECORD, answers_about


@pytest.fixture
def registrar(tmp_path: Path, redis_url: str) -> Iterator[Person]:
    gateway = ScriptedGateway()
    answers_about(gateway, "Ada")
    with admin_ui_client(gateway, tmp_path, redis_url) as client:
        person = Person(client, gateway)
        person.sign_in("registrar")
        yield person
    gateway.close()


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_a_form_that_cannot_be_saved_now_is_shown_again_with_all_that_was_typed(registrar: Person, status: int) -> None:
    registrar.gateway.refuses(f"PATCH {API}", status, retry_after=5)
    form = registrar.get(f"{RECORD}/edit").text
    hidden = dict(re.findall(r'name="(etag|key)" value="([^"]*)"', form))
    original = re.search(r'name="original" value="([^"]*)"', form)
    assert original is not None
    fields = {"original": original[1].replace("&#34;", '"'), "first_name": "Typed", "notes": "for an hour", **hidden}
    answer = registrar.post(f"{RECORD}/edit", **fields)
    assert answer.status_code == status
    assert 'value="Typed"' in answer.text
    assert "for an hour" in answer.text
    assert "Not saved yet" in answer.text


@pytest.mark.parametrize("status", [403, 404, 409, 500, 502])
def test_what_was_typed_is_kept_whatever_a_form_is_answered(registrar: Person, status: int) -> None:
    registrar.gateway.refuses(f"POST {API}/status", status)
    answer = registrar.post(f"{RECORD}/status", status="on_leave", on="2026-09-01", reason="A term abroad")
    assert answer.status_code == status
    assert "A term abroad" in answer.text
    assert f'action="{RECORD}/status"' in answer.text
    assert registrar.csrf in answer.text


def test_a_form_that_is_older_than_the_session_can_be_sent_again(registrar: Person) -> None:
    old = registrar.csrf
    registrar.client.post("/admin/logout", data={"csrf": old})
    registrar.sign_in("registrar")
    typed = {"csrf": old, "reason": "A term abroad"}

    def post(**headers: str) -> Any:
        return registrar.client.post(f"{RECORD}/status", data=typed, headers=headers)

    again = post(**{"sec-fetch-site": "same-origin"})
    assert again.status_code == 403
    assert "A term abroad" in again.text
    assert registrar.csrf in again.text
    by_script = post(**{"sec-fetch-site": "same-origin", "hx-request": "true"})
    assert by_script.status_code == 403
    assert registrar.csrf in by_script.headers["hx-trigger"]
    unknown = post()
    assert unknown.status_code == 403
    assert "A term abroad" not in unknown.text
    assert not registrar.gateway.calls(f"POST {API}/status")


def test_a_list_that_changed_meanwhile_can_be_changed_all_the_same(registrar: Person) -> None:
    refused = {"title": "Conflict", "status": 409, "detail": "The change would be of 282 students.", "matching": 282}
    registrar.gateway.says("POST /students/bulk", 409, refused)
    form = {"action": "year", "matching": "1", "total": "281", "state": "status=enrolled", "new_year": "7"}
    answer = registrar.post("/admin/students/bulk/apply", **form, key="first")
    assert answer.status_code == 409
    assert "The change would be of 282 students." in answer.text
    again = dict(re.findall(r'name="(total|key|new_year)"[^>]*? value="([^"]*)"', answer.text))
    assert (again["total"], again["new_year"]) == ("282", "7")
    assert again["key"] != "first"
