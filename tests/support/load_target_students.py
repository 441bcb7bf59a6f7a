"""The students of the load tests' simulated system."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from tests.support.load_target_world import Reply, Request, World

NOT_FOUND: Reply = (404, {}, None)


def students_reply(world: World, request: Request, path: str) -> Reply:
    """The answer to one request about students."""
    match request.method, path.removeprefix("/students/").split("/"):
        case "GET", [""]:
            return _page(world, request.query)
        case "GET", ["stats"]:
            return 200, {}, {"total": len(world.students), "by_status": {"enrolled": len(world.students)}}
        case "POST", [""]:
            return _add(world, request)
        case "POST", ["import"]:
            rows = list(csv.DictReader(io.StringIO(request.content.decode())))
            lost = 1 if world.fault == "import-loses" else 0
            return 201, {}, {"state": "done", "counts": {"created": len(rows) - lost}}
        case method, [identifier, *action]:
            found = world.students.get(identifier)
            return NOT_FOUND if found is None else ACTIONS[method, *action](world, request, found)
        case _:
            return NOT_FOUND


def _page(world: World, asked: dict[str, str]) -> Reply:
    term = asked.get("q", "").lower()
    found = [
        each
        for each in world.students.values()
        if not each["deleted_at"] and term in f"{each['first_name']}{each['last_name']}{each['email']}".lower()
    ]
    start = int(asked.get("cursor", 0))
    items = [_shown(world, each) for each in found[start : start + int(asked["limit"])]]
    following = start + len(items)
    cursor = str(following) if following < len(found) else None
    return 200, {}, {"items": items, "total": len(found), "next_cursor": cursor}


def _add(world: World, request: Request) -> Reply:
    body, key = request.json(), request.headers.get("idempotency-key", "")
    if key in world.made_by_key and world.fault != "made-twice":
        return _told(world, world.made_by_key[key], 201)
    if body["email"].lower() in world.emails and world.fault not in ("duplicates", "made-twice"):
        return 409, {}, {"detail": "the email is another student's"}
    made = world.add(body)
    if key:
        world.made_by_key[key] = made
    return _told(world, made, 201)


def _show(world: World, request: Request, student: dict[str, Any]) -> Reply:
    if student["deleted_at"] and world.fault != "undead":
        return NOT_FOUND
    if request.headers.get("if-none-match") == _etag(student):
        return 304, {"etag": _etag(student)}, None
    return _told(world, student)


def _change(world: World, request: Request, student: dict[str, Any]) -> Reply:
    if request.headers.get("if-match") != _etag(student) and world.fault != "lost-update":
        return 412, {}, None
    student |= {**request.json(), "version": student["version"] + 1}
    return _told(world, student)


def _delete(world: World, request: Request, student: dict[str, Any]) -> Reply:
    student |= {"deleted_at": "2026-01-02T00:00:00Z", "version": student["version"] + 1}
    return 204, {}, None


def _restore(world: World, request: Request, student: dict[str, Any]) -> Reply:
    student |= {"deleted_at": None, "version": student["version"] + 1}
    return _told(world, student)


def _history(world: World, request: Request, student: dict[str, Any]) -> Reply:
    entries = student["version"] - (world.fault == "history-short")
    return 200, {}, {"items": [{"version": number + 1} for number in range(entries)]}


ACTIONS: dict[tuple[str, ...], Callable[[World, Request, dict[str, Any]], Reply]] = {
    ("GET",): _show,
    ("PATCH",): _change,
    ("DELETE",): _delete,
    ("POST", "restore"): _restore,
    ("GET", "history"): _history,
}


def _told(world: World, student: dict[str, Any], status: int = 200) -> Reply:
    headers = {"etag": _etag(student), "location": f"/students/{student['id']}"}
    return status, headers, _shown(world, student)


def _shown(world: World, student: dict[str, Any]) -> dict[str, Any]:
    return student | ({"email": None} if world.fault == "wrong-body" else {})


def _etag(student: dict[str, Any]) -> str:
    return f'"{student["version"]}"'
