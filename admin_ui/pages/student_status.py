"""Changing a student's status: a dated event with a reason, which the timeline keeps."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from admin_ui.attempt import FOR_THE_MOMENT
from admin_ui.browser import go_to, is_htmx
from admin_ui.gateway_client import GatewayAway, Refused
from admin_ui.pages.student_record import read_student, record_path
from admin_ui.view import page
from admin_ui.visitor import Form, SignedIn, Visitor, require, services_of
from admin_ui.wording import status_label

router = APIRouter(prefix="/admin/students/{student_id:uuid}/status", include_in_schema=False)


@router.get("")
async def show(request: Request, visitor: SignedIn, student_id: UUID) -> Response:
    """The form."""
    require(visitor, "students:write")
    student = (await read_student(visitor.api, student_id)).body
    given = {"status": "", "on": "", "reason": "", "key": str(uuid.uuid4())}
    return await _form(request, visitor, student, given)


@router.post("")
async def change(request: Request, visitor: SignedIn, form: Form, student_id: UUID) -> Response:
    """Write the event down."""
    require(visitor, "students:write")
    given = {name: str(form.get(name, "")).strip() for name in ("status", "on", "reason", "key")}
    body = {name: given[name] for name in ("status", "on", "reason") if given[name]}
    student: dict[str, Any] = {"id": str(student_id), "preferred_name": None, "first_name": "", "last_name": ""}
    try:
        student = (await read_student(visitor.api, student_id)).body
        await visitor.api.call(
            "POST", f"/students/{student_id}/status", json=body, headers={"Idempotency-Key": given["key"][:64] or "-"}
        )
    except Refused as refused:
        if refused.status in (409, 422) or (refused.status in FOR_THE_MOMENT and not is_htmx(request)):
            given["key"] = str(uuid.uuid4())
            return await _form(request, visitor, student, given, refused)
        raise
    except GatewayAway:
        if is_htmx(request):
            raise
        return await _form(request, visitor, student, given, is_away=True)
    text = f"The status is now: {status_label(given['status'])}."
    await services_of(request).store.notify(visitor.session, {"kind": "ok", "text": text})
    return go_to(request, record_path(request, student_id))


async def _form(
    request: Request,
    visitor: Visitor,
    student: dict[str, Any],
    given: dict[str, str],
    refused: Refused | None = None,
    *,
    is_away: bool = False,
) -> Response:
    return await page(
        request,
        visitor,
        "students/status.html",
        part_of_it="form",
        status=503 if is_away else refused.status if refused else 200,
        active="students",
        student=student,
        given=given,
        errors=refused.errors if refused else {},
        refused=refused,
        is_away=is_away,
        back=record_path(request, student["id"]),
        action=record_path(request, student["id"], "/status"),
    )
