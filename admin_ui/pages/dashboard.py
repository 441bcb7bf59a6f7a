"""Where the UI begins: students in numbers, what changed, who signed in, how the system is.

Each panel is read by itself: what can't be read says so in its place, and the rest of the page stands.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from admin_ui import charts
from admin_ui.attempt import FOR_THE_MOMENT
from admin_ui.audit_wording import Told, tell
from admin_ui.browser import HOME, go_to
from admin_ui.gateway_client import Refused
from admin_ui.view import page
from admin_ui.visitor import SignedIn, Visitor

SHOWN = 7
DEPENDENCIES = {
    "redis": "Redis",
    "signing_keys": "Signing keys",
    "auth_service": "Users and sign-in",
    "student_service": "Student records",
    "admin_ui": "These pages",
}
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Panel:
    """What a panel shows, or why it can't."""

    body: Any = None
    refused: Refused | None = None


@dataclass(frozen=True)
class Part:
    """One thing that the gateway depends on."""

    label: str
    is_up: bool
    reason: str


@router.get("/admin")
async def from_root(request: Request, _: SignedIn) -> Response:
    """The address without its slash."""
    return go_to(request, HOME)


@router.get(HOME)
async def show(request: Request, visitor: SignedIn) -> Response:
    """The first page a person sees, with what their role may see."""
    manages, operates = visitor.session.may("users:manage"), visitor.session.may("ops:read")
    stats, changed, signed_in, parts = await asyncio.gather(
        _panel(visitor, "/students/stats"),
        _panel(visitor, "/students/", sort="-updated_at", limit=SHOWN),
        _sign_ins(visitor) if manages else _nothing(),
        _system(visitor) if operates else _nothing(),
    )
    numbers = stats.body
    status_bars = charts.by_status(numbers) if numbers else []
    return await page(
        request,
        visitor,
        "dashboard/dashboard.html",
        active="dashboard",
        stats=stats,
        status_bars=status_bars,
        status_parts=charts.parts_of(status_bars),
        program_bars=charts.by_program(numbers) if numbers else [],
        year_bars=charts.by_year(numbers) if numbers else [],
        changed=changed,
        sign_ins=signed_in,
        parts=parts,
    )


async def _panel(visitor: Visitor, path: str, **params: str | int) -> Panel:
    """One answer.

    Raises:
        Refused: It isn't for the moment only. GatewayAway: then no panel can be read.
    """
    try:
        return Panel((await visitor.api.get(path, **params)).body)
    except Refused as refused:
        if refused.status not in FOR_THE_MOMENT:
            raise
        return Panel(refused=refused)


async def _sign_ins(visitor: Visitor) -> Panel:
    """The latest sign-ins and those that failed, together."""
    panels = await asyncio.gather(
        *(_panel(visitor, "/auth/audit", event=event, limit=SHOWN) for event in ("sign_in", "sign_in_failed"))
    )
    refused = next((panel.refused for panel in panels if panel.refused), None)
    if refused:
        return Panel(refused=refused)
    entries = [entry for panel in panels for entry in panel.body["items"]]
    entries.sort(key=lambda entry: str(entry["at"]), reverse=True)
    told: list[Told] = [tell(entry) for entry in entries[:SHOWN]]
    return Panel(told)


async def _system(visitor: Visitor) -> Panel:
    """The gateway's readiness; its 503 says which part is missing."""
    try:
        states = (await visitor.api.get("/readyz")).body["dependencies"]
    except Refused as refused:
        states = refused.members.get("dependencies")
        if not isinstance(states, dict) or not states:
            return Panel(refused=refused)
    return Panel(
        [
            Part(DEPENDENCIES.get(name, name.replace("_", " ").capitalize()), state["status"] == "up", _reason(state))
            for name, state in states.items()
        ]
    )


def _reason(state: dict[str, str]) -> str:
    """Why something is down, when that is said in words and not by the name of an error."""
    reason = state.get("reason", "")
    return reason if " " in reason else ""


async def _nothing() -> Panel:
    return Panel()
