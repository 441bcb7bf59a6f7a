"""Lists of students: filters, search, sorts and pages, on SQLite and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from servicekit.paging import decode_cursor, encode_cursor
from student_service import schemas
from student_service.listing import SORTS
from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.students import a_student, student_app

SEEDED = 24


def seed(client: TestClient) -> list[dict[str, Any]]:
    """Students with ties and missing values in every field that sorts."""
    students = []
    for index in range(SEEDED):
        body = a_student(
            first_name=["Ann", "ånn", "Bea"][index % 3],
            last_name=["Smith", "SMITH", "Šmith", "Zell"][index % 4],
            program=[None, "Arts", "arts", "Law"][index % 4],
            year=[None, 3, 3, 7, None][index % 5],
            status=["enrolled", "applicant"][index % 2],
            date_of_birth=[None, "2010-01-01", "2011-01-01"][index % 3],
            enrolled_on=[None, "2020-01-01"][index % 2],
        )
        students.append(client.post("/students/", json=body).json())
    return students


def walk(client: TestClient, limit: int, **asked: Any) -> list[dict[str, Any]]:
    """All pages of a list, one after the other."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = client.get("/students/", params=asked | {"limit": limit} | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            assert page["total"] == len(items)
            return items
        assert len(page["items"]) == limit


def test_pages_hold_each_student_exactly_once_in_every_order(client: TestClient) -> None:
    everyone = {student["id"] for student in seed(client)}

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(
        sort=st.sampled_from(sorted(SORTS)),
        limit=st.integers(1, SEEDED + 1),
        filters=st.sampled_from([{}, {"q": "smith"}, {"status": "applicant"}, {"program": "ARTS"}, {"year": 3}]),
    )
    def holds(sort: str, limit: int, filters: dict[str, Any]) -> None:
        upwards = [student["id"] for student in walk(client, limit, sort=sort, **filters)]
        downwards = [student["id"] for student in walk(client, limit, sort=f"-{sort}", **filters)]
        assert len(set(upwards)) == len(upwards)
        assert downwards == upwards[::-1]
        whole = [student["id"] for student in walk(client, 200, sort=sort, **filters)]
        assert upwards == whole
        assert set(whole) <= everyone
        assert filters or set(whole) == everyone

    holds()


@pytest.mark.parametrize("field", ["year", "program", "date_of_birth", "enrolled_on"])
def test_missing_values_sort_before_all_others(client: TestClient, field: str) -> None:
    seed(client)
    found = [student[field] for student in walk(client, 5, sort=field)]
    present = [value for value in found if value is not None]
    assert found == [None] * (len(found) - len(present)) + present
    assert [str(value).lower() for value in present] == sorted(str(value).lower() for value in present)


def test_names_sort_without_case_and_accents(client: TestClient) -> None:
    for last, first in (("Zell", "A"), ("smith", "Zoe"), ("Šmith", "Bea"), ("Smithers", "Al"), ("SMITH", "Ann")):
        client.post("/students", json=a_student(last_name=last, first_name=first))
    items = client.get("/students").json()["items"]
    assert [(s["last_name"], s["first_name"]) for s in items] == [
        ("SMITH", "Ann"), ("Šmith", "Bea"), ("smith", "Zoe"), ("Smithers", "Al"), ("Zell", "A"),
    ]  # fmt: skip


def test_students_that_come_and_go_meanwhile_shift_nobody_else(client: TestClient) -> None:
    for name in "BDFH":
        client.post("/students", json=a_student(last_name=name))
    page = client.get("/students?limit=2").json()
    client.post("/students", json=a_student(last_name="A"))
    client.delete(f"/students/{page['items'][1]['id']}")
    rest = client.get("/students", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [student["last_name"] for student in rest["items"]] == ["F", "H"]


def test_search_finds_words_inside_and_takes_every_sign_as_itself(client: TestClient) -> None:
    names = {"first_name": "Zoë", "last_name": "Müller", "preferred_name": "Zozo"}
    client.post("/students", json=a_student(email="zoe@x.org", student_number="N-42", **names))
    others = ["Under_score", "Per%cent", "Back\\slash", "Łukasz"]
    for name in others:
        client.post("/students", json=a_student(last_name=name, first_name="Q"))
    for query in ("muller", "MÜLL", "ülle", "müller zoe", "zoe@x", "zozo", "n-42", "42 zoz"):
        assert found_by(client, query) == ["Müller"], query
    for query, name in (("der_s", "Under_score"), ("%", "Per%cent"), ("\\", "Back\\slash"), ("lukasz", "Łukasz")):
        assert found_by(client, query) == [name], query
    assert found_by(client, "l_") == found_by(client, "zoe lukasz") == []
    assert found_by(client, "   ") == sorted([*others, "Müller"])


def found_by(client: TestClient, query: str) -> list[str]:
    """The last names of those that a search finds."""
    answer = client.get("/students/", params={"q": query})
    schemas.StudentPage.model_validate_json(answer.content)
    assert answer.json()["total"] == len(answer.json()["items"])
    return sorted(student["last_name"] for student in answer.json()["items"])


def test_filters_narrow_together(client: TestClient) -> None:
    students = seed(client)
    wanted = {s["id"] for s in students if s["status"] == "applicant" and s["year"] == 3}
    found = client.get("/students?status=applicant&year=3&unknown=1&limit=200").json()
    assert {s["id"] for s in found["items"]} == wanted
    assert found["total"] == len(wanted) > 0


def test_a_cursor_belongs_to_its_sort_and_filters(client: TestClient) -> None:
    seed(client)
    cursor = client.get("/students?limit=2&sort=year&status=enrolled").json()["next_cursor"]
    good = {"sort": "year", "status": "enrolled", "cursor": cursor}
    assert client.get("/students", params=good | {"limit": 7}).status_code == 200
    for other in ({"sort": "-year"}, {"sort": "last_name"}, {"status": "applicant"}, {"q": "a"}, {"deleted": "true"}):
        answer = client.get("/students", params=good | other)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "cursor"


FORGED: list[Any] = [
    None,
    2**63,
    -1.5,
    "\x00",
    [],
    {},
    "x" * 300,
    "2026-11-24",
    "0001-01-01T00:00:00+14:00",
    True,
    "",
    7,
]


@pytest.mark.parametrize("sort", sorted(SORTS))
def test_a_forged_cursor_is_refused_or_harmless(sqlite: TestClient, sort: str) -> None:
    genuine = decode_cursor(sqlite.get("/students", params={"limit": 1, "sort": sort}).json()["next_cursor"])
    for place in range(len(genuine["at"])):
        for value in FORGED:
            forged = [*genuine["at"]]
            forged[place] = value
            cursor = encode_cursor(genuine | {"at": forged})
            assert sqlite.get("/students", params={"sort": sort, "cursor": cursor}).status_code in (200, 422)
    misshapen: list[Any] = [[], genuine["at"] * 2, None, "x"]
    for at in misshapen:
        cursor = encode_cursor(genuine | {"at": at})
        assert sqlite.get("/students", params={"sort": sort, "cursor": cursor}).status_code == 422


@pytest.fixture
def sqlite(sqlite_url: str, make_client: MakeClient, signing: Signing, tmp_path: Path) -> TestClient:
    client = make_client(student_app(signing, tmp_path, sqlite_url))
    client.headers.update(signing.bearer())
    for name in "AB":
        client.post("/students", json=a_student(last_name=name))
    return client


IMPOSSIBLE = (
    *("limit=0", "limit=201", "limit=x", "limit=1e3", "limit=" + "9" * 5000),
    *("sort=", "sort=notes", "sort=--year", "sort=id", "status=", "status=Enrolled", "deleted=maybe"),
    *("year=0", "year=13", "year=" + "9" * 40, "program=%00", "program=" + "x" * 500),
    *("cursor=", "cursor=x", "cursor=" + "A" * 3000, "cursor=%C3%A9", "cursor=bnVsbA", "cursor=e30"),
    *("q=" + "x" * 1000, "q=a%00b", "q=%1b", "q=%ff", "q=" + "+".join("abcdefghijkl")),
)


def test_a_query_that_cannot_be_meant_is_422(sqlite: TestClient) -> None:
    for query in IMPOSSIBLE:
        answer = sqlite.get(f"/students/?{query}")
        assert answer.status_code == 422, query[:50]
        assert answer.json()["errors"][0]["field"]


@pytest.mark.parametrize("path", ["/students", "/students/", "/students/stats", "/students/stats/"])
def test_a_list_answers_with_and_without_its_slash(sqlite: TestClient, path: str) -> None:
    assert sqlite.get(path, follow_redirects=False).status_code == 200
