"""Users in the database, and the rules that hold between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from auth_service import audit, passwords, usernames
from auth_service.audit import Event, Person
from auth_service.models import users
from auth_service.revocations import Revocation, revoke, unpublished
from auth_service.roles import Role
from auth_service.service import Origin, Service
from servicekit.database import is_unique_violation
from servicekit.ids import uuid7
from servicekit.problems import Conflict, FieldError, NotFound, Unprocessable


@dataclass(frozen=True)
class NewUser:
    """A user to be made."""

    username: str
    password: str
    role: Role


@dataclass(frozen=True)
class Changes:
    """What to change; None leaves it."""

    role: Role | None = None
    disabled: bool | None = None
    password: str | None = None


def create(service: Service, new: NewUser, by: Person, origin: Origin) -> Row[Any]:
    """Store a user.

    Raises:
        Unprocessable: The password breaks a rule.
        Conflict: The username is taken, in whatever case.
    """
    taken = Conflict(
        "This username is taken.", errors=[{"field": "username", "message": "is taken, in this or another case"}]
    )
    key = usernames.key_of(new.username)
    with service.db.read() as conn:
        if conn.execute(select(users.c.id).where(users.c.username_key == key)).first() is not None:
            raise taken
    hashed = accepted_hash(service, new.password, new.username)
    now = service.clock()
    user_id = uuid7()
    try:
        with service.db.write() as conn:
            conn.execute(
                insert(users).values(
                    id=user_id,
                    username=new.username,
                    username_key=key,
                    password_hash=hashed,
                    role=new.role,
                    disabled=False,
                    created_at=now,
                    updated_at=now,
                    password_changed_at=now,
                )
            )
            subject = Person(user_id, new.username)
            audit.record(conn, Event.USER_CREATED, origin=origin, now=now, actor=by, subject=subject, role=new.role)
            return find(conn, user_id)
    except IntegrityError as error:
        if is_unique_violation(error):  # somebody was faster
            raise taken from None
        raise


def change(
    service: Service, user_id: str, changes: Changes, by: Person, origin: Origin
) -> tuple[Row[Any], list[Revocation]]:
    """Apply ``changes``; a new role or password, or disabling, ends all sessions of the user.

    Returns:
        The user as they are now, and what to publish.

    Raises:
        NotFound: No such user. Conflict: The last enabled administrator. Unprocessable: The password breaks a rule.
    """
    with service.db.read() as conn:
        known = find(conn, user_id)
    hashed = None if changes.password is None else accepted_hash(service, changes.password, known.username)
    now = service.clock()
    with service.db.write() as conn:
        admins = _lock_admins(conn)
        user = find(conn, user_id, lock=True)
        values: dict[str, Any] = {}
        if changes.role is not None and changes.role != user.role:
            values["role"] = changes.role
        if changes.disabled is not None and changes.disabled != user.disabled:
            values["disabled"] = changes.disabled
        if values.get("role", Role.ADMIN) != Role.ADMIN or values.get("disabled"):
            _keep_one_admin(admins, user_id)
        if hashed is not None:
            values |= {"password_hash": hashed, "password_changed_at": now}
        if values:
            conn.execute(update(users).where(users.c.id == user_id).values(**values, updated_at=now))
            changed = {name: values[name] for name in ("role", "disabled") if name in values}
            audit.record(
                conn,
                Event.USER_CHANGED,
                origin=origin,
                now=now,
                actor=by,
                subject=Person(user_id, user.username),
                password_reset=hashed is not None,
                **changed,
            )
        if "role" in values or hashed is not None or values.get("disabled"):
            revoked = revoke(conn, user_id, because="user_changed", now=now)
        else:  # perhaps the repetition of a request that was answered 503: finish it
            revoked = unpublished(conn, now, user_id=user_id)
        return find(conn, user_id), revoked


def remove(service: Service, user_id: str, by: Person, origin: Origin) -> list[Revocation]:
    """Delete a user for good; their sessions end, the audit trail remembers the name.

    Returns:
        What to publish.

    Raises:
        NotFound: No such user. Conflict: The caller themself, or the last enabled administrator.
    """
    if user_id == by.id:
        raise Conflict("You can't delete yourself; another administrator can.")
    now = service.clock()
    with service.db.write() as conn:
        admins = _lock_admins(conn)
        user = find(conn, user_id, lock=True)
        _keep_one_admin(admins, user_id)
        revoked = revoke(conn, user_id, because="user_deleted", now=now)
        conn.execute(delete(users).where(users.c.id == user_id))
        subject = Person(user_id, user.username)
        audit.record(conn, Event.USER_DELETED, origin=origin, now=now, actor=by, subject=subject, role=user.role)
    return revoked


def find(conn: Connection, user_id: str, *, lock: bool = False) -> Row[Any]:
    """The user of that id.

    Raises:
        NotFound: There is none.
    """
    query = select(users).where(users.c.id == user_id)
    user = conn.execute(query.with_for_update() if lock else query).first()
    if user is None:
        raise NotFound("There is no such user.")
    return user


def accepted_hash(service: Service, password: str, username: str) -> str:
    """The hash of a password that keeps the rules.

    Raises:
        Unprocessable: It breaks one. ServiceUnavailable: Too many are waiting to be hashed.
    """
    objection = passwords.objection(password, username)
    if objection is not None:
        raise Unprocessable(objection, errors=[FieldError("password", objection)])
    return service.hasher.hash(password)


def _lock_admins(conn: Connection) -> set[str]:
    """The ids of all enabled administrators, locked in one order: two of them can't demote each other at once."""
    query = select(users.c.id).where(users.c.role == Role.ADMIN, users.c.disabled.is_(False)).order_by(users.c.id)
    return {row.id for row in conn.execute(query.with_for_update())}


def _keep_one_admin(admins: set[str], user_id: str) -> None:
    if admins == {user_id}:
        raise Conflict("This is the last enabled administrator; make another one first.")
