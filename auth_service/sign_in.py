"""Signing in: one answer and one cost for an unknown user, a disabled one and a wrong password."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, bindparam, select, update

from auth_service import audit, usernames
from auth_service.audit import Event, Person
from auth_service.credentials import Credentials
from auth_service.models import users
from auth_service.service import Origin, Service
from auth_service.sessions import TokenPair, open_session
from servicekit.problems import Unauthorized

# Built once: building a statement and finding its compiled form costs as much as running it.
_FIND = select(users).where(users.c.username_key == bindparam("key"))
_STILL_RIGHT = (
    update(users)
    .where(users.c.id == bindparam("user"), users.c.password_hash == bindparam("verified"), ~users.c.disabled)
    .values(last_sign_in_at=bindparam("now"))
    .returning(users)
)


def sign_in(service: Service, credentials: Credentials, origin: Origin) -> TokenPair:
    """A new session for whoever these credentials belong to.

    Raises:
        Unauthorized: They belong to nobody who may sign in; it isn't said why.
        ServiceUnavailable: Too many passwords are waiting to be checked.
    """
    key = usernames.lookup_key(credentials.username)
    with service.db.read() as conn:
        known = conn.execute(_FIND, {"key": key or ""}).first()
    right, renewed = service.hasher.verify(credentials.password, known.password_hash if known else None)
    pair = _open(service, known, renewed, origin) if known is not None and right and not known.disabled else None
    if pair is None:
        _record_failure(service, known, right, origin)
        raise Unauthorized("The username or the password is wrong.")
    return pair


def _open(service: Service, known: Row[Any], renewed: str | None, origin: Origin) -> TokenPair | None:
    now = service.clock()
    with service.db.write() as conn:
        # Meanwhile the user may have been disabled, or given another password; the update asks again and locks the row.
        verified = {"user": known.id, "verified": known.password_hash, "now": now}
        user = conn.execute(_STILL_RIGHT, verified).first()
        if user is None:
            return None
        if renewed is not None:
            conn.execute(update(users).where(users.c.id == user.id).values(password_hash=renewed))
        return open_session(conn, service, user, origin, now)


def _record_failure(service: Service, known: Row[Any] | None, right: bool, origin: Origin) -> None:
    subject = Person(known.id, known.username) if known is not None else None
    why = "unknown_user" if known is None else "disabled" if known.disabled else "wrong_password"
    if why == "wrong_password" and right:
        why = "changed_meanwhile"
    with service.db.write() as conn:
        audit.record(conn, Event.SIGN_IN_FAILED, origin=origin, now=service.clock(), subject=subject, reason=why)
