"""Files by which students pass numbers and e-mail addresses on to each other: what counts is how it is in the end."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from student_service import undo
from student_service.importing import applying, settling
from tests.support.student_files import csv_text
from tests.support.students import a_student

HEADER = ["student_number", "first_name", "last_name", "email"]


def send(client: TestClient, emails: dict[str, str], status: int = 201, **asked: Any) -> Any:
    """Import students' numbers with their addresses (before the @); the answer's JSON."""
    rows = [[number, "Ann", "Ash", f"{email}@x.org"] for number, email in emails.items()]
    answer = client.post(
        "/students/import",
        content=csv_text([HEADER, *rows]),
        headers={"Content-Type": "text/csv"},
        params={"mode": "upsert", **asked},
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def emails_of(client: TestClient) -> dict[str, str]:
    """The addresses of all that aren't deleted, by number."""
    found: dict[str, str] = {}
    page = client.get("/students?limit=200").json()
    while page:
        found |= {one["student_number"]: one["email"].partition("@")[0] for one in page["items"]}
        following = page["next_cursor"]
        page = following and client.get("/students", params={"limit": 200, "cursor": following}).json()
    return found


@pytest.mark.parametrize(
    "after",
    [
        {"A": "b", "B": "a"},
        {"A": "b", "B": "c", "C": "a"},
        {"A": "c", "C": "b", "B": "a"},
        {"A": "b", "B": "new"},
        {"B": "new", "A": "b"},
        {"A": "b", "B": "c", "C": "new"},
        {"A": "B", "B": "A"},
    ],
    ids=lambda after: " ".join(f"{number}{email}" for number, email in after.items()),
)
def test_addresses_that_are_passed_on_in_one_file_are_imported_and_undone(
    client: TestClient, after: dict[str, str]
) -> None:
    before = {"A": "a", "B": "b", "C": "c"}
    send(client, before)
    preview = send(client, after, dry_run="true", status=200)
    assert (preview["counts"], preview["can_commit"]) == ({"update": len(after)}, True)
    assert [row["errors"] for row in preview["rows"]["items"]] == [[]] * len(after)
    assert emails_of(client) == before
    done = client.post(f"/students/imports/{preview['id']}/commit")
    assert (done.status_code, done.json()["counts"]) == (201, {"updated": len(after)})
    assert emails_of(client) == before | after
    assert client.get("/students", params={"q": f"{after['A']}@x.org".lower()}).json()["total"] == 1
    undone = client.post(f"/students/imports/{preview['id']}/undo").json()
    assert (undone["state"], undone["rows_undone"], undone["rows_kept"]) == ("undone", len(after), 0)
    assert emails_of(client) == before
    # Their keys are their own again: nobody else can have them.
    for email in before.values():
        assert client.post("/students/", json=a_student(email=f"{email}@x.org")).status_code == 409


def test_a_new_student_gets_an_address_that_another_one_gives_up(client: TestClient) -> None:
    send(client, {"A": "a"})
    done = send(client, {"N": "a", "A": "other"})
    assert done["counts"] == {"created": 1, "updated": 1}
    assert emails_of(client) == {"A": "other", "N": "a"}
    undone = client.post(f"/students/imports/{done['id']}/undo").json()
    assert (undone["rows_undone"], undone["rows_kept"]) == (2, 0)
    assert emails_of(client) == {"A": "a"}
    again = send(client, {"N": "n"})
    assert (again["counts"], emails_of(client)) == ({"restored": 1}, {"A": "a", "N": "n"})


def test_what_is_taken_in_the_end_is_an_error_on_its_line_and_on_those_that_depend_on_it(client: TestClient) -> None:
    before = {"A": "a", "B": "b", "C": "c", "D": "d"}
    send(client, before)
    # D has no row, C's address is no address, and what they can't have B can't leave to A.
    for last in ({"C": "d"}, {"C": "no address"}):
        told = send(client, {"A": "b", "B": "c", **last, "E": "e"}, status=422)
        lines = [error["field"] for error in told["errors"]]
        assert lines == ["line 2: email", "line 3: email", "line 4: email"]
        assert told["errors"][0]["message"] == "Another student already has this e-mail address"
        assert emails_of(client) == before
    rest = send(client, {"A": "b", "B": "c", "C": "d", "E": "e"}, all_or_nothing="false")
    assert rest["counts"] == {"error": 3, "created": 1}
    assert emails_of(client) == before | {"E": "e"}


def test_an_address_that_two_are_to_have_is_an_error_whoever_gives_it_up(client: TestClient) -> None:
    send(client, {"A": "a", "B": "b"})
    told = send(client, {"A": "new", "B": "a", "C": "a"}, status=422)
    assert [(error["field"], error["message"]) for error in told["errors"]] == [
        ("line 4: email", "is the same as on line 3")
    ]
    assert emails_of(client) == {"A": "a", "B": "b"}


def test_what_one_student_has_is_not_given_up_by_a_row_that_leaves_it(client: TestClient) -> None:
    send(client, {"A": "a", "B": "b"})
    client.delete(f"/students/{client.get('/students?q=b@x.org').json()['items'][0]['id']}")
    told = send(client, {"A": "b"}, status=422)
    assert told["errors"][0]["message"] == "A deleted student has this e-mail address"
    restored = send(client, {"A": "b", "B": "a"})
    assert restored["counts"] == {"updated": 1, "restored": 1}
    assert emails_of(client) == {"A": "b", "B": "a"}


def test_somebody_who_takes_an_address_meanwhile_takes_all_of_it_back(client: TestClient) -> None:
    send(client, {"A": "a", "B": "b", "C": "c"})
    preview = send(client, {"A": "b", "B": "new", "C": "a"}, dry_run="true", status=200)
    assert preview["can_commit"]
    client.post("/students/", json=a_student(email="new@x.org", student_number="X"))
    answer = client.post(f"/students/imports/{preview['id']}/commit")
    assert answer.status_code == 422
    lines = [error["field"] for error in answer.json()["errors"]]
    assert lines == ["line 2: email", "line 3: email", "line 4: email"]
    assert emails_of(client) == {"A": "a", "B": "b", "C": "c", "X": "new"}


def test_those_who_pass_on_across_many_steps_are_changed_together_and_taken_back(client: TestClient) -> None:
    before = {f"S{n:04}": f"s{n}" for n in range(1_200)}
    send(client, before)
    numbers = list(before)
    # One circle through the whole file, and swaps of its first with its last rows.
    circle = dict(zip(numbers[:600], [before[number] for number in [*numbers[1:600], numbers[0]]], strict=True))
    swaps = dict(zip(numbers[600:], [before[number] for number in reversed(numbers[600:])], strict=True))
    done = send(client, circle | swaps)
    assert (done["state"], done["counts"], done["rows_applied"]) == ("done", {"updated": 1_200}, 1_200)
    assert emails_of(client) == circle | swaps
    undone = client.post(f"/students/imports/{done['id']}/undo").json()
    assert (undone["state"], undone["rows_undone"], undone["rows_kept"]) == ("undone", 1_200, 0)
    assert emails_of(client) == before


def test_rows_that_pass_nothing_on_are_applied_around_those_that_do(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: name.lower() for name in "ABCDEFG"}
    send(client, before)
    monkeypatch.setattr(applying, "APPLIED_AT_ONCE", 2)
    monkeypatch.setattr(undo, "UNDONE_AT_ONCE", 1)
    after = {"A": "b", "C": "d", "G": "g2", "N": "n", "D": "c", "E": "f", "F": "a", "B": "e"}
    done = send(client, after)
    assert (done["counts"], done["rows_applied"]) == ({"updated": 7, "created": 1}, 8)
    assert emails_of(client) == before | after
    undone = client.post(f"/students/imports/{done['id']}/undo").json()
    assert (undone["state"], undone["rows_undone"], undone["rows_kept"]) == ("undone", 8, 0)
    assert emails_of(client) == before


def test_too_many_who_pass_on_are_told_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "MOST_TOGETHER", 2)
    send(client, {"A": "a", "B": "b", "C": "c", "D": "d", "E": "e"})
    told = send(client, {"A": "b", "B": "c", "C": "a", "D": "e", "E": "d"}, status=422)
    assert [error["field"] for error in told["errors"]] == ["line 2: email", "line 3: email", "line 4: email"]
    assert "send them in parts" in told["errors"][0]["message"]


def test_two_rows_about_one_student_are_told_as_such(client: TestClient) -> None:
    send(client, {"A": "a"})
    told = send(client, {"A": "new", "": "a"}, status=422)
    assert [(error["field"], error["message"]) for error in told["errors"]] == [
        ("line 3: row", "is about the same student as line 2")
    ]


def test_an_undo_leaves_whom_somebody_changed_and_whoever_needs_what_that_one_has(client: TestClient) -> None:
    send(client, {"A": "a", "B": "b", "C": "c", "D": "d"})
    done = send(client, {"A": "b", "B": "a", "C": "d", "D": "c"})
    changed = client.get("/students?q=a@x.org").json()["items"][0]
    client.patch(f"/students/{changed['id']}", json={"notes": "mine"})
    undone = client.post(f"/students/imports/{done['id']}/undo").json()
    assert (undone["rows_undone"], undone["rows_kept"]) == (2, 2)
    assert emails_of(client) == {"A": "b", "B": "a", "C": "c", "D": "d"}
