"""Makes the first user when there is none; safe when several workers and replicas start at once."""

from __future__ import annotations

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from auth_service import audit, usernames
from auth_service.audit import Event, Person
from auth_service.models import users
from auth_service.roles import Role
from auth_service.service import NOWHERE, Service
from servicekit.ids import uuid7
from servicekit.logs import get_logger

log = get_logger()


def make_first_user(service: Service) -> bool:
    """Make the BOOTSTRAP_ADMIN user as an administrator; True when this call did."""
    count = select(func.count()).select_from(users)
    with service.db.read() as conn:
        if conn.execute(count).scalar_one():
            return False
    settings = service.settings
    username = settings.bootstrap_admin_username
    hashed = service.hasher.hash(settings.bootstrap_admin_password.get_secret_value())
    now = service.clock()
    user_id = uuid7()
    try:
        with service.db.write() as conn:
            if conn.execute(count).scalar_one():
                return False
            conn.execute(
                insert(users).values(
                    id=user_id,
                    username=username,
                    username_key=usernames.key_of(username),
                    password_hash=hashed,
                    role=Role.ADMIN,
                    disabled=False,
                    created_at=now,
                    updated_at=now,
                    password_changed_at=now,
                )
            )
            first = Person(user_id, username)
            audit.record(conn, Event.USER_CREATED, origin=NOWHERE, now=now, subject=first, role=Role.ADMIN)
    except IntegrityError:  # on PostgreSQL two may have counted none: the username lets one through
        return False
    log.info("first_user_made", user_id=user_id)
    return True
