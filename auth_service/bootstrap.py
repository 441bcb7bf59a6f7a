"""Makes the first user when there is none, also with many starters at once; and refuses development's password."""

from __future__ import annotations

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from auth_service import audit, usernames
from auth_service.audit import Event, Person
from auth_service.models import users
from auth_service.roles import Role
from auth_service.service import NOWHERE, Service
from auth_service.settings import DEFAULT_ADMIN
from servicekit.ids import uuid7
from servicekit.logs import get_logger

log = get_logger()
MOST_FIRST_USERS = 8  # replicas on PostgreSQL that start at once with different names may make one each


class DefaultPasswordInUse(RuntimeError):
    """The database was tried out in development, and its first user still has the password of that time."""


def refuse_default_password(service: Service) -> None:
    """In production, see to it that nobody can sign in with development's password, whatever the first user is called.

    Raises:
        DefaultPasswordInUse: Somebody could.
    """
    if not service.settings.is_production:
        return
    # Only the first user may ever have had this password: it breaks the rules that all others are made by.
    oldest = select(users.c.username, users.c.password_hash).where(users.c.disabled.is_(False))
    with service.db.read() as conn:
        candidates = conn.execute(oldest.order_by(users.c.created_at, users.c.id).limit(MOST_FIRST_USERS)).all()
    for user in candidates:
        if service.hasher.verify(DEFAULT_ADMIN, user.password_hash)[0]:
            raise DefaultPasswordInUse(
                f"the user {user.username} in this database still has the password of development: "
                "change it with APP_ENV=development, or begin with an empty database"
            )


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
