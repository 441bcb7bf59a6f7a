"""Adding and editing a student. Nothing typed is lost: every refusal shows the form again with what was in it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from admin_ui.browser import go_to, is_htmx
from admin_ui.gateway_client import GatewayAway, Refused
from admin_ui.pages.student_record import read_student, record_path
from admin_ui.student_fields import (
    EDITABLE,
    GUARDIAN_PARTS,
    MOST_GUARDIANS,
    blank,
    compare,
    differing,
    for_api,
    guardian_rows,
    merged,
    shown,
    typed,
    unplaced,
)
from admin_ui.view import page
from admin_ui.visitor import Form, SignedIn, Visitor, require, services_of
from admin_ui.wording import full_name
from servicekit.problems import BadRequest

router = APIRouter(prefix="/admin/students", include_in_schema=False)
LOST_CHANCES = {429, 500, 502, 503, 504}
# From one student to the next that is added: they are of one class.
CARRIED = ("status", "program", "year", "enrolled_on")


@dataclass(frozen=True)
class Draft:
    """A form as it stands: what is in it, what it began with, and what is wrong with it."""

    fields: dict[str, Any]
    original: dict[str, Any] = field(default_factory=blank)
    etag: str = ""
    key: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    refused: Refused | None = None
    is_away: bool = False
    is_deleted: bool = False
    student_id: UUID | None = None
    focus: str = ""
    """The field to begin in; none where something else is to be read first."""

    def told(self, refused: Refused) -> Draft:
        """With the API's errors at their fields; a new key, because another attempt has another content."""
        return replace(self, errors=refused.errors, refused=refused, key=_new_key())


@router.get("/new")
async def show_new(request: Request, visitor: SignedIn) -> Response:
    """An empty form, but for what the student added before has in common with the next."""
    require(visitor, "students:write")
    given = {name: value for name in CARRIED if (value := request.query_params.get(name, "").strip())}
    return await _form(request, visitor, Draft(blank() | given, key=_new_key(), focus="first_name"))


@router.post("/new")
async def create(request: Request, visitor: SignedIn, form: Form) -> Response:
    """Add a student; the same form sent twice adds one."""
    require(visitor, "students:write")
    draft = Draft(typed(form), key=str(form.get("key") or _new_key())[:64])
    if (rearranged := _rearranged(draft, form)) is not None:
        return await _form(request, visitor, rearranged)
    given = {name: value for name, value in for_api(draft.fields).items() if value is not None}
    try:
        answer = await visitor.api.call("POST", "/students/", json=given, headers={"Idempotency-Key": draft.key})
    except (Refused, GatewayAway) as error:
        return await _refused(request, visitor, draft, error)
    path = record_path(request, answer.body["id"])
    if form.get("another"):
        await _tell(request, visitor, f"{full_name(answer.body)} was added.", path)
        carried = {name: draft.fields[name] for name in CARRIED if draft.fields[name]}
        return go_to(request, "/admin/students/new?" + urlencode(carried))
    await _tell(request, visitor, f"{full_name(answer.body)} was added.")
    return go_to(request, path)


@router.get("/{student_id:uuid}/edit")
async def show_edit(request: Request, visitor: SignedIn, student_id: UUID) -> Response:
    """The record in a form."""
    require(visitor, "students:write")
    answer = await read_student(visitor.api, student_id)
    if answer.body["deleted_at"]:
        return go_to(request, record_path(request, student_id))
    fields = shown(answer.body)
    draft = Draft(fields, fields, answer.etag or "", student_id=student_id, focus="first_name")
    return await _form(request, visitor, draft)


@router.post("/{student_id:uuid}/edit")
async def edit(request: Request, visitor: SignedIn, form: Form, student_id: UUID) -> Response:
    """Save what differs from what the form began with."""
    require(visitor, "students:write")
    draft = Draft(typed(form), _held(form, "original"), str(form.get("etag", "")), student_id=student_id)
    if (rearranged := _rearranged(draft, form)) is not None:
        return await _form(request, visitor, rearranged)
    return await _save(request, visitor, draft, restore=bool(form.get("restore")))


@router.post("/{student_id:uuid}/resolve")
async def resolve(request: Request, visitor: SignedIn, form: Form, student_id: UUID) -> Response:
    """Save what was chosen, field by field, after somebody else had changed the record."""
    require(visitor, "students:write")
    theirs, yours = _held(form, "theirs"), _held(form, "yours")
    choices = {name: str(form.get(f"choice.{name}", "theirs")) for name in EDITABLE}
    draft = Draft(merged(theirs, yours, choices), theirs, str(form.get("etag", "")), student_id=student_id)
    return await _save(request, visitor, draft, restore=False)


async def _save(request: Request, visitor: Visitor, draft: Draft, *, restore: bool) -> Response:
    path = f"/students/{draft.student_id}"
    changes = for_api(differing(draft.fields, draft.original))
    try:
        if restore:
            await visitor.api.call("POST", f"{path}/restore")
        answer = await visitor.api.call("PATCH", path, json=changes, headers={"If-Match": draft.etag})
    except (Refused, GatewayAway) as error:
        if isinstance(error, Refused) and error.status in (404, 412) and draft.student_id is not None:
            return await _changed_meanwhile(request, visitor, draft, draft.student_id)
        return await _refused(request, visitor, draft, error)
    await _tell(request, visitor, "Saved." if changes else "Nothing was changed.")
    return go_to(request, record_path(request, answer.body["id"]))


async def _changed_meanwhile(request: Request, visitor: Visitor, draft: Draft, student_id: UUID) -> Response:
    """Somebody else was faster: show what they did beside what was typed."""
    latest = await read_student(visitor.api, student_id)
    if latest.body["deleted_at"]:
        return await _form(request, visitor, replace(draft, is_deleted=True), 409)
    theirs = shown(latest.body)
    if theirs == draft.original:  # another version, but of the same content, such as a restored one
        again = replace(draft, etag=latest.etag or "")
        return await _save_again(request, visitor, again)
    return await page(
        request,
        visitor,
        "students/conflict.html",
        part_of_it="conflict",
        status=412,
        active="students",
        student=latest.body,
        student_id=student_id,
        etag=latest.etag,
        clashes=compare(draft.original, theirs, draft.fields),
        theirs=_packed(theirs),
        yours=_packed(draft.fields),
        action=record_path(request, student_id, "/resolve"),
        back=record_path(request, student_id),
    )


async def _save_again(request: Request, visitor: Visitor, draft: Draft) -> Response:
    changes = for_api(differing(draft.fields, draft.original))
    try:
        await visitor.api.call("PATCH", f"/students/{draft.student_id}", json=changes, headers={"If-Match": draft.etag})
    except (Refused, GatewayAway) as error:
        return await _refused(request, visitor, draft, error)
    await _tell(request, visitor, "Saved.")
    return go_to(request, record_path(request, draft.student_id))


async def _refused(request: Request, visitor: Visitor, draft: Draft, error: Refused | GatewayAway) -> Response:
    """The form again; a script keeps its form by itself and only shows the message."""
    if isinstance(error, GatewayAway):
        if is_htmx(request):
            raise error
        return await _form(request, visitor, replace(draft, is_away=True), 503)
    if error.status in (409, 422):
        return await _form(request, visitor, draft.told(error), error.status)
    if error.status in LOST_CHANCES and not is_htmx(request):
        return await _form(request, visitor, replace(draft, refused=error), error.status)
    raise error


async def _form(request: Request, visitor: Visitor, draft: Draft, status: int = 200) -> Response:
    errors = dict(draft.errors)
    return await page(
        request,
        visitor,
        "students/form.html",
        part_of_it="form",
        status=status,
        active="students",
        draft=draft,
        fields=draft.fields,
        errors=errors,
        unplaced=unplaced(errors, draft.fields["guardians"]),
        original=_packed(draft.original),
        programs=await _programs(visitor) if not is_htmx(request) and not draft.is_away else [],
        most_guardians=MOST_GUARDIANS,
        action=record_path(request, draft.student_id, "/edit") if draft.student_id else "/admin/students/new",
        back=record_path(request, draft.student_id) if draft.student_id else "/admin/students",
    )


async def _programs(visitor: Visitor) -> list[str]:
    """Names to suggest; the form works without them."""
    try:
        stats = (await visitor.api.get("/students/stats")).body
    except (Refused, GatewayAway):
        return []
    return [entry["program"] for entry in stats["by_program"] if entry["program"]][:100]


def _rearranged(draft: Draft, form: FormData) -> Draft | None:
    """The form with one guardian more or less, when that was asked for instead of saving."""
    guardians = guardian_rows(form)
    if form.get("add_guardian"):
        guardians.append(dict.fromkeys(GUARDIAN_PARTS, ""))
        focus = f"guardians.{len(guardians) - 1}.name"
    elif (index := str(form.get("remove_guardian", ""))).isdigit():
        guardians = [entry for number, entry in enumerate(guardians) if str(number) != index]
        focus = f"guardians.{max(0, min(int(index), len(guardians)) - 1)}.name" if guardians else "add_guardian"
    else:
        return None
    return replace(draft, fields={**draft.fields, "guardians": guardians}, focus=focus)


def _held(form: FormData, name: str) -> dict[str, Any]:
    """A set of fields that the form carries along."""
    try:
        held = orjson.loads(str(form.get(name, "")))
    except orjson.JSONDecodeError:
        held = None
    if not isinstance(held, dict) or not held.keys() >= set(EDITABLE):
        raise BadRequest("The form has lost what it began with. Open the page again.")
    return {key: held[key] for key in EDITABLE}


def _packed(fields: dict[str, Any]) -> str:
    return orjson.dumps(fields).decode()


def _new_key() -> str:
    return str(uuid.uuid4())


async def _tell(request: Request, visitor: Visitor, text: str, href: str = "") -> None:
    await services_of(request).store.notify(visitor.session, {"kind": "ok", "text": text, "href": href})
