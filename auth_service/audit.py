"""The audit trail: who did what to whom, when and from where. Written in the transaction of what it tells of.

A name that somebody typed is stored only when it is a user's: people type passwords into the wrong field.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert

from auth_service.models import audit_events
from auth_service.service import Origin
from servicekit.ids import uuid7
from servicekit.logs import get_logger

log = get_logger()
_ADD = insert(audit_events)  # built once: building costs as much as running


class Event(StrEnum):
    """What can be found in the trail."""

    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_OUT = "sign_out"
    SIGN_OUT_ALL = "sign_out_all"
    REFRESH_REUSED = "refresh_reused"
    SESSION_REVOKED = "session_revoked"
    SESSIONS_REVOKED = "sessions_revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an event
    PASSWORD_CHANGE_FAILED = "password_change_failed"  # noqa: S105 - the name of an event
    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_DELETED = "user_deleted"


@dataclass(frozen=True)
class Person:
    """A user as the trail remembers them, also after they are deleted."""

    id: str
    username: str


def record(
    conn: Connection,
    event: Event,
    *,
    origin: Origin,
    now: datetime,
    actor: Person | None = None,
    subject: Person | None = None,
    session_id: str | None = None,
    **details: Any,
) -> None:
    """Store one entry, and log it; ``details`` hold no secret."""
    row = {
        "id": uuid7(),
        "at": now,
        "event": event,
        "actor_id": actor.id if actor else None,
        "actor": actor.username if actor else None,
        "subject_id": subject.id if subject else None,
        "subject": subject.username if subject else None,
        "session_id": session_id,
        "address": origin.address or None,
        "request_id": origin.request_id,
        "details": details,
    }
    conn.execute(_ADD, row)
    log.info(
        "audit",
        action=str(event),
        actor_id=actor.id if actor else None,
        subject_id=subject.id if subject else None,
        session_id=session_id,
        client_ip=origin.address or None,
        **details,
    )
