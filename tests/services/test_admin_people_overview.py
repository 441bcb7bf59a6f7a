"""The first page and the audit trail in the admin UI, against a gateway that answers as each test says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.support.scripted_gateway import MOMENT, Person, ScriptedGateway, a_page, admin_ui_client, an_entry

STATS = {
    "total": 4,
    "deleted": 1,
    "by_status": {"applicant": 0, "enrolled": 3, "on_leave": 1, "graduated": 0, "withdrawn": 0},
    "by_program": [{"program": "<b>Arts</b>", "count": 3}, {"program": None, "count": 1}],
    "by_year": [{"year": None, "count": 1}, {"year": 2, "count": 3}],
}
STUDENT = {
    "id": "0199dddd-0000-7000-8000-000000000001", "first_name": "Zoë", "last_name": "Øster", "preferred_name": None,
    "version": 2, "updated_at": MOMENT, "updated_by": "rita",
}  # fmt: skip


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    found = ScriptedGateway()
    found.says("GET /students/stats", body=STATS)
    found.says("GET /students/", body=a_page(STUDENT))
    found.says("GET /auth/audit", body=a_page(an_entry("sign_in_failed", details={"reason": "unknown_user"})))
    found.says("GET /readyz", body={"dependencies": {"redis": {"status": "up"}}})
    yield found
    found.close()


@pytest.fixture
def person(gateway: ScriptedGateway, tmp_path: Path, redis_url: str) -> Iterator[Person]:
    with admin_ui_client(gateway, tmp_path, redis_url) as client:
        yield Person(client, gateway)


@pytest.mark.parametrize("path", ["/admin", "/admin/"])
def test_everybody_begins_at_the_overview(person: Person, path: str) -> None:
    person.sign_in("viewer")
    page = person.get(path)
    assert page.status_code == 200
    assert "<h1>Overview</h1>" in page.text
    assert "4 students, 1 deleted" in page.text
    assert "Zoë Øster" in page.text
    assert "&lt;b&gt;Arts&lt;/b&gt;" in page.text


@pytest.mark.parametrize(("role", "adds", "watches"), [("viewer", 0, 0), ("registrar", 1, 0), ("admin", 1, 1)])
def test_the_overview_shows_what_the_role_may_see(
    person: Person, gateway: ScriptedGateway, role: str, adds: int, watches: int
) -> None:
    person.sign_in(role)
    page = person.get("/admin/").text
    assert page.count('href="/admin/students/new"') == adds
    assert page.count("Recent sign-ins") == watches
    assert page.count('id="system"') == watches
    assert bool(gateway.calls("GET /auth/audit")) == bool(watches), "nothing is asked for that may not be seen"
    assert bool(gateway.calls("GET /readyz")) == bool(watches)


def test_what_is_down_is_named_and_the_rest_of_the_page_stands(person: Person, gateway: ScriptedGateway) -> None:
    person.sign_in("admin")
    gateway.refuses("GET /students/stats", 503)
    states = {"redis": {"status": "up"}, "student_service": {"status": "down", "reason": "no answer within 1 s"}}
    gateway.says("GET /readyz", 503, {"detail": "Not ready.", "dependencies": states})
    page = person.get("/admin/")
    assert page.status_code == 200
    assert "This can’t be read just now." in page.text
    assert "of-the-gateway" in page.text
    assert "Down" in page.text
    assert "no answer within 1 s" in page.text
    assert "Zoë Øster" in page.text


def test_a_gateway_that_is_away_gives_one_page_that_says_so(person: Person, gateway: ScriptedGateway) -> None:
    person.sign_in("admin")
    gateway.close()
    page = person.get("/admin/")
    assert page.status_code == 503
    assert "Away for a moment" in page.text


def test_an_empty_school_is_told_what_to_do(person: Person, gateway: ScriptedGateway) -> None:
    nothing = {"total": 0, "deleted": 0, "by_status": {}, "by_program": [], "by_year": []}
    gateway.says("GET /students/stats", body=nothing)
    gateway.says("GET /students/", body=a_page())
    person.sign_in("registrar")
    assert "No students yet" in person.get("/admin/").text


def test_pages_carry_no_inline_style_or_script(person: Person) -> None:
    person.sign_in("admin")
    for path in ("/admin/", "/admin/audit"):
        page = person.get(path).text
        assert " style=" not in page
        assert "<style" not in page
        assert "<script>" not in page


def test_the_trail_passes_its_filters_on_with_whole_days(person: Person, gateway: ScriptedGateway) -> None:
    person.sign_in("admin")
    page = person.get("/admin/audit?event=sign_in_failed&actor=ada&subject=mara&since=2026-11-01&until=2026-11-24")
    assert "No user of that name" in page.text
    ((query, _),) = gateway.calls("GET /auth/audit")
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    assert asked == {
        "event": "sign_in_failed",
        "actor": "ada",
        "subject": "mara",
        "since": "2026-11-01T00:00:00Z",
        "until": "2026-11-25T00:00:00Z",
        "limit": "50",
    }


@pytest.mark.parametrize(
    "query",
    ["event=nope", "since=yesterday", "until=2026-13-01", "since=2026-11-02&until=2026-11-01", "until=9999-12-31"],
)
def test_what_cannot_be_looked_for_is_said_and_not_asked(person: Person, gateway: ScriptedGateway, query: str) -> None:
    person.sign_in("admin")
    page = person.get(f"/admin/audit?{query}")
    assert page.status_code == 422
    assert "This can’t be looked for" in page.text
    assert not gateway.calls("GET /auth/audit")


def test_the_next_page_of_the_trail_keeps_the_filters(person: Person, gateway: ScriptedGateway) -> None:
    gateway.says("GET /auth/audit", body=a_page(*[an_entry("sign_in")] * 50, next_cursor="c2", total=120))
    person.sign_in("admin")
    page = person.get("/admin/audit?event=sign_in").text
    assert "1–50 of 120" in page
    assert 'href="/admin/audit?event=sign_in&amp;cursor=c2&amp;page=2"' in page
    page = person.get("/admin/audit?event=sign_in&cursor=c2&page=2").text
    assert "51–100 of 120" in page
    assert 'rel="prev"' in page
    assert "cursor=c2" in gateway.calls("GET /auth/audit")[-1][0]


def test_a_script_gets_the_results_alone_and_the_address_to_show(person: Person) -> None:
    person.sign_in("admin")
    answer = person.get(
        "/admin/audit?event=sign_in_failed",
        **{"HX-Request": "true", "HX-Request-Type": "partial", "HX-Source": "form#filter"},
    )
    assert "<html" not in answer.text
    assert 'id="results"' in answer.text
    assert answer.headers["hx-replace-url"] == "/admin/audit?event=sign_in_failed"


@pytest.mark.parametrize("role", ["viewer", "registrar"])
def test_the_trail_is_for_administrators(person: Person, gateway: ScriptedGateway, role: str) -> None:
    person.sign_in(role)
    assert person.get("/admin/audit").status_code == 403
    assert not gateway.calls("GET /auth/audit")
