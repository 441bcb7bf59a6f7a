"""Addresses of the students' list that can't be used as they are: the list says so, and stays a list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.support.scripted_gateway import Person, ScriptedGateway, a_page, admin_ui_client
from tests.support.scripted_student import answers_about


@pytest.fixture
def registrar(tmp_path: Path, redis_url: str) -> Iterator[Person]:
    gateway = ScriptedGateway()
    answers_about(gateway, "Ada")
    with admin_ui_client(gateway, tmp_path, redis_url) as client:
        person = Person(client, gateway)
        person.sign_in("registrar")
        yield person
    gateway.close()


@pytest.mark.parametrize("unreadable", ["%00", "a%00b", "%ff"])
def test_a_search_that_no_text_can_hold_finds_nobody(registrar: Person, unreadable: str) -> None:
    registrar.gateway.says("GET /students/", body=a_page())
    page = registrar.get(f"/admin/students?q={unreadable}&sort=year")
    assert page.status_code == 200, page.text
    assert "Nobody matches" in page.text
    searched = unreadable.replace("%00", "\N{REPLACEMENT CHARACTER}").replace("%ff", "\N{REPLACEMENT CHARACTER}")
    assert f'name="q" id="q" value="{searched}"' in page.text
    [(query, _)] = registrar.gateway.calls("GET /students/")
    assert (parse_qs(query)["q"], parse_qs(query)["sort"]) == ([searched], ["year"])


def test_a_readable_query_arrives_as_it_was_sent(registrar: Person) -> None:
    registrar.get("/admin/students?q=50%25+M%C3%BCller%2b")
    [(query, _)] = registrar.gateway.calls("GET /students/")
    assert parse_qs(query)["q"] == ["50% Müller+"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("status=nonsense", "There is no such status"),
        ("year=abc", "That is no year"),
        ("sort=nonsense", "can’t be sorted by that"),
        ("deleted=perhaps", "“deleted” is either true or false"),
    ],
)
def test_what_is_left_out_of_an_address_is_told_above_the_list(registrar: Person, asked: str, told: str) -> None:
    page = registrar.get(f"/admin/students?q=ada&{asked}")
    assert page.status_code == 200
    assert told in page.text
    assert 'class="roll"' in page.text
    assert told not in registrar.get("/admin/students?q=ada&status=enrolled&year=3&sort=-year&deleted=false").text


def test_a_place_that_the_list_does_not_have_is_its_beginning_and_said_so(registrar: Person) -> None:
    registrar.gateway.refuses("GET /students/", 422, cursor="is not a cursor of this list; start again without one")
    answer = registrar.client.get("/admin/students?q=ada&cursor=nonsense&page=3", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/students?q=ada")
    answers_about(registrar.gateway, "Ada")
    assert "That page of the list isn’t there. This is the first one." in registrar.get("/admin/students?q=ada").text


def test_a_value_that_is_refused_leaves_the_search_in_its_field(registrar: Person) -> None:
    registrar.gateway.refuses("GET /students/", 422, year="Input should be less than or equal to 12")
    page = registrar.get("/admin/students?q=ada&year=99")
    assert page.status_code == 200
    assert "The year should be less than or equal to 12." in page.text
    assert 'name="q" id="q" value="ada"' in page.text
