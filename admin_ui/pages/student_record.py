"""One student: the record, its history, and what can be done to it with one click."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Request, Response

from admin_ui.api import Api
from admin_ui.browser import go_to, wants_part
from admin_ui.gateway_client import Answer, Refused
from admin_ui.listing import PATH, ListState
from admin_ui.sentences import sentence
from admin_ui.student_fields import EDITABLE
from admin_ui.view import page, part
from admin_ui.visitor import Form, SignedIn, services_of
from admin_ui.wording import field_label, full_name
from servicekit.problems import BadRequest

HISTORY_PAGE = 20
router = APIRouter(prefix="/admin/students/{student_id:uuid}", include_in_schema=False)


def record_path(request: Request, student_id: Any, page: str = "") -> str:
    """A page of a student, with the list to go back to that this request's address carries."""
    return list_behind(request).record_url(student_id, page)


def list_behind(request: Request) -> ListState:
    """The list that the student was opened from."""
    return ListState.behind(request.query_params)


async def read_student(api: Api, student_id: UUID) -> Answer:
    """The record, of a deleted student too."""
    return await api.get(f"/students/{student_id}", deleted="true")


@router.get("")
@router.get("/")
async def show_record(request: Request, visitor: SignedIn, student_id: UUID) -> Response:
    """The record, or for a script the older part of its history."""
    older = request.query_params.get("history", "")
    asked: dict[str, str | int] = {"limit": HISTORY_PAGE, **({"cursor": older} if older else {})}
    answer, history, timeline = await asyncio.gather(
        read_student(visitor.api, student_id),
        visitor.api.get(f"/students/{student_id}/history", **asked),
        visitor.api.get(f"/students/{student_id}/timeline", limit=100),
    )
    student = answer.body
    context: dict[str, Any] = {
        "active": "students",
        "behind": list_behind(request),
        "student": student,
        "etag": answer.etag,
        "history": history.body,
        "older": older,
        "timeline": timeline.body,
        "may_write": visitor.session.may("students:write") and not student["deleted_at"],
        "current": {name: student[name] for name in EDITABLE},
    }
    if wants_part(request) and older:
        return part(request, "students/record.html", "history_entries", **context)
    return await page(request, visitor, "students/record.html", **context)


@router.post("/delete")
async def delete(request: Request, visitor: SignedIn, form: Form, student_id: UUID) -> Response:
    """Delete softly, and offer to undo it."""
    student = (await read_student(visitor.api, student_id)).body
    headers = {"If-Match": str(form["etag"])} if form.get("etag") else {}
    try:
        await visitor.api.call("DELETE", f"/students/{student_id}", headers=headers)
    except Refused as refused:
        if refused.status != 412:
            raise
        await _tell(
            request,
            visitor,
            {"kind": "warn", "text": "Not deleted: the record was changed meanwhile. Look at it first."},
        )
        return go_to(request, record_path(request, student_id))
    undo = record_path(request, student_id, "/restore")
    await _tell(request, visitor, {"kind": "ok", "text": f"{full_name(student)} was deleted.", "undo": undo})
    return go_to(request, list_behind(request).address(PATH))


@router.post("/restore")
async def restore(request: Request, visitor: SignedIn, form: Form, student_id: UUID) -> Response:
    """Take a deletion back."""
    student = (await visitor.api.call("POST", f"/students/{student_id}/restore")).body
    await _tell(request, visitor, {"kind": "ok", "text": f"{full_name(student)} is back."})
    return go_to(request, record_path(request, student_id))


@router.post("/revert")
async def revert(request: Request, visitor: SignedIn, form: Form, student_id: UUID) -> Response:
    """Give one field the value it had before a change."""
    field = str(form.get("field", ""))
    if field not in EDITABLE:
        raise BadRequest("This field can't be reverted.")
    try:
        value = orjson.loads(str(form.get("value", "")))
    except orjson.JSONDecodeError:
        raise BadRequest("The value to go back to can't be read.") from None
    try:
        await visitor.api.call(
            "PATCH", f"/students/{student_id}", json={field: value}, headers={"If-Match": str(form.get("etag", ""))}
        )
    except Refused as refused:
        if refused.status == 412:
            text = "Not reverted: the record was changed meanwhile. Look at it first."
        elif refused.status in (409, 422):
            name, message = next(iter(refused.errors.items()), ("", refused.detail))
            text = f"Not reverted. {sentence(message, name)}"
        else:
            raise
        await _tell(request, visitor, {"kind": "warn", "text": text})
    else:
        await _tell(request, visitor, {"kind": "ok", "text": f"{field_label(field)} is as it was before."})
    return go_to(request, record_path(request, student_id))


async def _tell(request: Request, visitor: SignedIn, notice: dict[str, Any]) -> None:
    await services_of(request).store.notify(visitor.session, notice)
