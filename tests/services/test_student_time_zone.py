"""Which day it is at the school: a registrar's own today can be entered, wherever the school is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from servicekit.settings import load_settings
from student_service.settings import Settings
from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.students import a_student, student_app

TOKYO = ("Asia/Tokyo", datetime(2026, 11, 24, 22, tzinfo=UTC), "2026-11-25", "2026-11-26")  # seven in the morning
HONOLULU = ("Pacific/Honolulu", datetime(2026, 11, 24, 9, tzinfo=UTC), "2026-11-23", "2026-11-24")  # late at night
DEFAULT = ("UTC", datetime(2026, 11, 24, 23, 59, tzinfo=UTC), "2026-11-24", "2026-11-25")


@pytest.fixture(params=[TOKYO, HONOLULU, DEFAULT], ids=lambda place: place[0])
def place(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def client(place: Any, sqlite_url: str, make_client: MakeClient, signing: Signing, tmp_path: Path) -> TestClient:
    client = make_client(student_app(signing, tmp_path, sqlite_url, lambda: place[1], time_zone=place[0]))
    client.headers.update(signing.bearer(username="rita"))
    return client


def days(client: TestClient, student_id: str) -> list[tuple[str, str]]:
    items = client.get(f"/students/{student_id}/timeline").json()["items"]
    return [(entry["status"], entry["on"]) for entry in items]


def test_a_status_may_be_dated_today_and_not_tomorrow(client: TestClient, place: Any) -> None:
    _, _, today, tomorrow = place
    student = client.post("/students/", json=a_student(enrolled_on=today, status="applicant")).json()
    path = f"/students/{student['id']}/status"
    refused = client.post(path, json={"status": "enrolled", "on": tomorrow, "reason": "Start"})
    assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (422, ["on"])
    assert client.post(path, json={"status": "enrolled", "on": today, "reason": "Start"}).status_code == 200
    assert client.post(path, json={"status": "on_leave", "reason": "Ill"}).status_code == 200
    assert days(client, student["id"]) == [("on_leave", today), ("enrolled", today), ("applicant", today)]


def test_nobody_is_born_tomorrow(client: TestClient, place: Any) -> None:
    tomorrow = place[-1]
    refused = client.post("/students/", json=a_student(date_of_birth=tomorrow, enrolled_on=tomorrow))
    assert "date_of_birth" in [error["field"] for error in refused.json()["errors"]]
    assert refused.status_code == 422


def test_imports_and_bulk_changes_are_dated_by_the_schools_day_too(client: TestClient, place: Any) -> None:
    _, _, today, tomorrow = place
    csv = "first_name,last_name,email,status\nAda,Lovelace,ada@example.org,applicant\n"
    assert client.post("/students/import", content=csv, headers={"Content-Type": "text/csv"}).status_code == 201
    student_id = client.get("/students/").json()["items"][0]["id"]
    change = {"action": "update", "set": {"status": "enrolled"}, "reason": "Start", "ids": [student_id]}
    assert client.post("/students/bulk", json={**change, "on": tomorrow}).status_code == 422
    assert client.post("/students/bulk", json=change).json()["counts"] == {"updated": 1}
    assert days(client, student_id) == [("enrolled", today), ("applicant", today)]
    name = client.get("/students/export?format=csv").headers["content-disposition"]
    assert today in name


def test_a_number_is_of_the_year_that_it_is_at_the_school(
    sqlite_url: str, make_client: MakeClient, signing: Signing, tmp_path: Path
) -> None:
    new_year = datetime(2026, 12, 31, 22, tzinfo=UTC)  # seven in the morning of another year
    client = make_client(student_app(signing, tmp_path, sqlite_url, lambda: new_year, time_zone="Asia/Tokyo"))
    client.headers.update(signing.bearer(username="rita"))
    alone = client.post("/students/", json=a_student()).json()["student_number"]
    csv = "first_name,last_name,email\nAda,Lovelace,ada@example.org\n"
    assert client.post("/students/import", content=csv, headers={"Content-Type": "text/csv"}).status_code == 201
    imported = client.get("/students/?q=ada@example.org").json()["items"][0]["student_number"]
    assert "2027" in alone
    assert "2027" in imported


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../../etc/passwd", "Europe"])
def test_a_zone_that_is_none_stops_the_start(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIME_ZONE", name)
    with pytest.raises(SystemExit):
        load_settings(Settings)
    assert "configuration error: TIME_ZONE: " in capsys.readouterr().err
