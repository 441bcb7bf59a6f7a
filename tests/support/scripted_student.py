"""One student as a scripted gateway tells of it, every field holding the same text."""

from __future__ import annotations

from typing import Any

from tests.support.scripted_gateway import MOMENT, OWN_ID, ScriptedGateway, a_page

STUDENT = "0199dddd-0000-7000-8000-000000000001"
RECORD = f"/admin/students/{STUDENT}"
API = f"/students/{STUDENT}"


def a_student(text: str = "Ada") -> dict[str, Any]:
    names = ("first_name", "middle_name", "last_name", "preferred_name", "email", "phone", "program", "notes")
    guardian = dict.fromkeys(("name", "relation", "email", "phone"), text)
    return {
        **dict.fromkeys(names, text),
        "id": STUDENT,
        "student_number": text,
        "status": "enrolled",
        "year": 3,
        "guardians": [guardian],
        **dict.fromkeys(("date_of_birth", "enrolled_on", "deleted_at")),
        "version": 1,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "created_by": text,
        "updated_by": text,
    }


def answers_about(gateway: ScriptedGateway, text: str) -> None:
    student, by = a_student(text), {"id": OWN_ID, "username": text}
    changes = [{"field": name, "old": text, "new": text} for name in ("notes", "program", text)]
    told = {"id": "e", "version": 1, "at": MOMENT, "by": by, "reason": text, "batch_id": None, "request_id": text}
    stats = {"total": 1, "deleted": 0, "by_status": {"enrolled": 1}, "by_program": [{"program": text, "count": 1}]}
    gateway.says("GET /students/", body=a_page(student))
    gateway.says("GET /students/stats", body=stats | {"by_year": [{"year": 3, "count": 1}]})
    gateway.says(f"GET {API}", body=student, etag='"v1"')
    gateway.says(f"GET {API}/history", body=a_page({**told, "action": "updated", "changes": changes}))
    event = {"action": "updated", "status": "enrolled", "previous_status": None, "on": "2026-09-01"}
    gateway.says(f"GET {API}/timeline", body=a_page({**told, **event}))
    gateway.says("POST /auth/logout", 204)
