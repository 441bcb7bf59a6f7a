"""The three roles and the scopes that each of them has."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a user may do, from least to most."""

    VIEWER = "viewer"
    REGISTRAR = "registrar"
    ADMIN = "admin"


SCOPES: dict[Role, tuple[str, ...]] = {
    Role.VIEWER: ("students:read",),
    Role.REGISTRAR: ("students:read", "students:write"),
    Role.ADMIN: ("students:read", "students:write", "users:manage", "ops:read"),
}


def scopes_of(role: str) -> tuple[str, ...]:
    """The scopes of ``role``, in a fixed order."""
    return SCOPES[Role(role)]
