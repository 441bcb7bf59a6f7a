"""`/auth/audit`: the trail, newest first."""

# No `from __future__ import annotations`: see auth.py.
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Column, ColumnElement, func, or_, select

from auth_service import listing, usernames
from auth_service.answers import ADMIN, AuditOut, AuditPage, problems
from auth_service.audit import Event
from auth_service.caller import USER_ADMIN
from auth_service.listing import PageRequest
from auth_service.models import audit_events
from auth_service.service import service_of
from servicekit.paging import DEFAULT_LIMIT, MAX_CURSOR_CHARACTERS, MAX_LIMIT
from servicekit.strict_json import StrictRoute

router = APIRouter(prefix="/auth/audit", tags=["audit"], route_class=StrictRoute)
Who = Annotated[str | None, Field(max_length=64, description="A user's id or username.")]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the first and the last day of the calendar are not whole in every zone
        raise ValueError("must be between the years 1 and 9999 in UTC") from None


Moment = Annotated[Annotated[AwareDatetime, AfterValidator(_in_utc)] | None, Field(description="ISO 8601 with a zone.")]


class AuditQuery(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="ignore")

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str | None, Field(max_length=MAX_CURSOR_CHARACTERS)] = None
    sort: Literal["-at", "at"] = "-at"
    event: Event | None = None
    actor: Who = None
    subject: Who = None
    since: Moment = None
    until: Moment = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """`since` is inclusive, `until` is not."""
        columns = audit_events.c
        if self.event is not None:
            yield columns.event == self.event
        if self.actor:
            yield _is_about(columns.actor_id, columns.actor, self.actor)
        if self.subject:
            yield _is_about(columns.subject_id, columns.subject, self.subject)
        if self.since is not None:
            yield columns.at >= self.since
        if self.until is not None:
            yield columns.at < self.until


def _is_about(id_column: Column[Any], name_column: Column[Any], who: str) -> ColumnElement[bool]:
    # Ids and usernames are the same whatever their case.
    return or_(id_column == who.lower(), func.lower(name_column) == usernames.key_of(who))


@router.get("", summary="The audit trail", responses=problems(*ADMIN, 422), dependencies=[USER_ADMIN])
@router.get("/", include_in_schema=False, dependencies=[USER_ADMIN])
def list_audit(request: Request, asked: Annotated[AuditQuery, Query()]) -> AuditPage:
    """Who signed in, who failed to, who changed what; newest first."""
    query = select(audit_events).where(*asked.conditions())
    page = PageRequest(asked.limit, asked.cursor, asked.sort)
    with service_of(request).db.read() as conn:
        found = listing.fetch(conn, query, page, columns={"at": audit_events.c.at}, key=audit_events.c.id)
    items = [AuditOut.model_validate(row, from_attributes=True) for row in found.rows]
    return AuditPage(items=items, next_cursor=found.next_cursor, total=found.total)
