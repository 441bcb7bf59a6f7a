"""The sections of the UI, in the order of the menu. What a person's role doesn't allow isn't offered."""

from __future__ import annotations

from dataclasses import dataclass

from admin_ui.session_store import Session


@dataclass(frozen=True)
class Section:
    """A line of the menu."""

    key: str
    label: str
    href: str
    icon: str
    scope: str


SECTIONS = (Section("students", "Students", "/admin/students", "users", "students:read"),)


def sections_for(session: Session) -> list[Section]:
    """What this person may open."""
    return [section for section in SECTIONS if session.may(section.scope)]
