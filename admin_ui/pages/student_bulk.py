"""Changing many students at once: chosen by hand, or all that the list's filters match.

The list's bar leads to a page that says what will happen and asks what is needed; only then is anything changed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from admin_ui.attempt import FOR_THE_MOMENT
from admin_ui.browser import go_to, is_htmx, wants_part
from admin_ui.gateway_client import GatewayAway, Refused
from admin_ui.listing import PATH, ListState
from admin_ui.view import page, part
from admin_ui.visitor import Form, SignedIn, Visitor, require, services_of
from admin_ui.wording import count

router = APIRouter(prefix=f"{PATH}/bulk", include_in_schema=False)
ACTIONS = {
    "status": "Change status",
    "program": "Set program",
    "year": "Set year",
    "delete": "Delete",
    "restore": "Restore",
}
GIVEN = ("status", "program", "year", "on", "reason")


@dataclass(frozen=True)
class Choice:
    """Which students, and what becomes of them."""

    action: str
    ids: tuple[str, ...]
    matching: bool
    state: ListState
    query: str
    expected: int
    given: dict[str, str] = field(default_factory=dict)
    key: str = ""

    @classmethod
    def read(cls, form: FormData) -> Self:
        """The choice in a form of ours."""
        query, expected = str(form.get("state", "")), str(form.get("total", ""))
        action = str(form.get("action", ""))
        return cls(
            action=action if action in ACTIONS else "status",
            ids=tuple(str(one) for one in form.getlist("id")),
            matching=bool(form.get("matching")),
            state=ListState.read(dict(parse_qsl(query))),
            query=query,
            expected=int(expected) if expected.isascii() and expected.isdigit() and len(expected) < 9 else 0,
            given={name: str(form.get(f"new_{name}", "")).strip() for name in GIVEN},
            key=str(form.get("key") or uuid.uuid4())[:64],
        )

    @property
    def size(self) -> int:
        return self.expected if self.matching else len(self.ids)

    def body(self) -> dict[str, Any]:
        """What the API is asked."""
        body: dict[str, Any] = {"action": self.action if self.action in ("delete", "restore") else "update"}
        if self.action == "status":
            body |= {"set": {"status": self.given["status"]}, "reason": self.given["reason"] or None}
            body |= {"on": self.given["on"]} if self.given["on"] else {}
        elif self.action == "program":
            body["set"] = {"program": self.given["program"] or None}
        elif self.action == "year":
            year = self.given["year"]
            body["set"] = {"year": int(year) if year.isascii() and year.isdigit() and len(year) < 5 else year or None}
        if not self.matching:
            return body | {"ids": list(self.ids)}
        wanted = self.state.api_query()
        chosen: dict[str, Any] = {name: wanted[name] for name in ("q", "status", "program") if name in wanted}
        chosen |= {"year": int(self.state.year)} if self.state.year else {}
        chosen |= {"deleted": True} if self.state.deleted else {}
        return body | {"filter": chosen, "expected": self.expected}


@router.post("")
async def prepare(request: Request, visitor: SignedIn, form: Form) -> Response:
    """Say what would happen, and ask for what is missing."""
    require(visitor, "students:write")
    choice = Choice.read(form)
    if choice.size == 0:
        await _tell(request, visitor, {"kind": "warn", "text": "Nobody was selected."})
        return go_to(request, choice.state.address(PATH))
    return await _ask(request, visitor, choice)


@router.post("/apply")
async def apply(request: Request, visitor: SignedIn, form: Form) -> Response:
    """Make the change, once however often the form is sent."""
    require(visitor, "students:write")
    choice = Choice.read(form)
    try:
        answer = await visitor.api.call(
            "POST", "/students/bulk", json=choice.body(), headers={"Idempotency-Key": choice.key}
        )
    except Refused as refused:
        matching = refused.members.get("matching")
        if refused.status == 409 and choice.matching and type(matching) is int:
            # The list has changed meanwhile: whoever has read how many they are now may go on.
            choice = replace(choice, expected=matching, key=str(uuid.uuid4()))
        if refused.status in (409, 422) or (refused.status in FOR_THE_MOMENT and not is_htmx(request)):
            return await _ask(request, visitor, choice, refused)
        raise
    except GatewayAway:
        if is_htmx(request):
            raise
        return await _ask(request, visitor, choice, is_away=True)
    batch = answer.body
    if batch["state"] != "done" or batch["counts"].get("error"):
        return go_to(request, f"{PATH}/bulk/{batch['id']}")
    changed = sum(number for outcome, number in batch["counts"].items() if outcome != "unchanged")
    done = {"delete": "deleted", "restore": "restored"}.get(choice.action, "changed")
    text = f"{count(changed)} {'student' if changed == 1 else 'students'} {done}."
    await _tell(request, visitor, {"kind": "ok", "text": text, "undo": f"{PATH}/bulk/{batch['id']}/undo"})
    return go_to(request, choice.state.address(PATH))


async def _ask(
    request: Request, visitor: Visitor, choice: Choice, refused: Refused | None = None, *, is_away: bool = False
) -> Response:
    errors = {name.removeprefix("set."): message for name, message in refused.errors.items()} if refused else {}
    context: dict[str, Any] = {
        "status": 503 if is_away else refused.status if refused else 200,
        "active": "students",
        "choice": choice,
        "label": ACTIONS[choice.action],
        "errors": errors,
        "refused": refused,
        "is_away": is_away,
        "back": choice.state.address(PATH),
    }
    if wants_part(request):  # how many they are stands above the form, too
        return part(request, "students/bulk.html", "whom_update", "ask", **context)
    return await page(request, visitor, "students/bulk.html", **context)


async def _tell(request: Request, visitor: Visitor, notice: dict[str, Any]) -> None:
    await services_of(request).store.notify(visitor.session, notice)
