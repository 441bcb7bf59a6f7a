"""A status changes by a dated event with a reason, and the timeline keeps it, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from student_service import schemas
from tests.support.signing import Signing
from tests.support.students import a_student

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> Callable[[], datetime]:
    return lambda: NOW


def created(client: TestClient, **fields: Any) -> str:
    return str(client.post("/students/", json=a_student(**fields)).headers["location"])


def timeline(client: TestClient, path: str) -> list[tuple[Any, ...]]:
    answer = client.get(f"{path}/timeline")
    assert answer.status_code == 200, answer.text
    page = schemas.TimelinePage.model_validate_json(answer.content)
    return [(e.previous_status, e.status, str(e.on), e.reason, e.version) for e in page.items]


def test_a_status_changes_by_a_dated_event_with_a_reason(client: TestClient) -> None:
    path = created(client)
    event = {"status": "on_leave", "on": "2026-09-01", "reason": " A term abroad "}
    answer = client.post(f"{path}/status", json=event, headers={"If-Match": '"v1"'})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.headers["etag"]) == ("on_leave", '"v2"')
    assert timeline(client, path) == [
        ("enrolled", "on_leave", "2026-09-01", "A term abroad", 2),
        (None, "enrolled", "2026-11-24", None, 1),
    ]
    newest = client.get(f"{path}/history").json()["items"][0]
    assert (newest["action"], newest["reason"], newest["by"]["username"]) == ("updated", "A term abroad", "rita")


def test_an_edit_of_the_status_is_in_the_timeline_too_and_other_edits_are_not(client: TestClient) -> None:
    path = created(client, status="applicant")
    client.patch(path, json={"program": "Arts"})
    client.patch(path, json={"status": "enrolled"})
    assert [entry[:3] for entry in timeline(client, path)] == [
        ("applicant", "enrolled", "2026-11-24"),
        (None, "applicant", "2026-11-24"),
    ]


def test_a_timeline_comes_in_pages_and_outlives_a_deletion(client: TestClient) -> None:
    path = created(client)
    for status in ("on_leave", "enrolled", "graduated"):
        assert client.post(f"{path}/status", json={"status": status, "reason": "x"}).status_code == 200
    client.delete(path)
    page = client.get(f"{path}/timeline?limit=3").json()
    rest = client.get(f"{path}/timeline", params={"limit": 3, "cursor": page["next_cursor"]}).json()
    assert [entry["status"] for entry in page["items"] + rest["items"]] == [
        "graduated", "enrolled", "on_leave", "enrolled",
    ]  # fmt: skip
    assert (page["total"], rest["next_cursor"]) == (4, None)


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"reason": "x"}, "status"),
        ({"status": "on_leave"}, "reason"),
        ({"status": "on_leave", "reason": "  "}, "reason"),
        ({"status": "on_leave", "reason": "x" * 501}, "reason"),
        ({"status": "enrolled", "reason": "x"}, "status"),
        ({"status": "asleep", "reason": "x"}, "status"),
        ({"status": "on_leave", "reason": "x", "on": "2026-11-25"}, "on"),
        ({"status": "on_leave", "reason": "x", "on": "2009-12-31"}, "on"),
        ({"status": "on_leave", "reason": "x", "on": "yesterday"}, "on"),
        ({"status": "on_leave", "reason": "x", "year": 3}, "year"),
    ],
)
def test_an_event_that_cannot_be_is_422_and_changes_nothing(
    client: TestClient, event: dict[str, Any], field: str
) -> None:
    path = created(client, date_of_birth="2010-01-01")
    answer = client.post(f"{path}/status", json=event)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert client.get(path).json()["version"] == 1


def test_a_status_is_guarded_like_every_change(client: TestClient, signing: Signing) -> None:
    path, event = created(client), {"status": "withdrawn", "reason": "moved away"}
    viewer = signing.bearer(role="viewer")
    assert client.post(f"{path}/status", json=event, headers=viewer).status_code == 403
    assert client.post(f"{path}/status", json=event, headers={"If-Match": '"v7"'}).status_code == 412
    assert client.post(f"{path.rpartition('/')[0]}/nobody/status", json=event).status_code == 404
    first = client.post(f"{path}/status", json=event, headers={"Idempotency-Key": "k"})
    again = client.post(f"{path}/status", json=event, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    client.delete(path)
    assert client.post(f"{path}/status", json={**event, "status": "enrolled"}).status_code == 404
