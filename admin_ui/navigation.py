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
    shortcut: str = ""
    """The key after G that opens it."""


SECTIONS = (
    Section("dashboard", "Overview", "/admin/", "dashboard", "students:read", shortcut="o"),
    Section("students", "Students", "/admin/students", "users", "students:read", shortcut="s"),
    Section("imports", "Imports", "/admin/imports", "upload", "students:write", shortcut="i"),
    Section("users", "Users", "/admin/users", "group", "users:manage", shortcut="u"),
    Section("audit", "Audit", "/admin/audit", "audit", "users:manage", shortcut="a"),
)


@dataclass(frozen=True)
class Command:
    """Something the palette offers."""

    label: str
    href: str
    icon: str
    scope: str


COMMANDS = (
    Command("Add a student", "/admin/students/new", "plus", "students:write"),
    Command("Import students", "/admin/imports/new", "upload", "students:write"),
    Command("Show deleted students", "/admin/students?deleted=true", "trash", "students:read"),
    Command("Add a user", "/admin/users/new", "user-plus", "users:manage"),
    Command("Show failed sign-ins", "/admin/audit?event=sign_in_failed", "alert", "users:manage"),
    Command("Your profile", "/admin/profile", "person", "students:read"),
    Command("Change your password", "/admin/profile/password", "key", "students:read"),
)


def commands_for(session: Session) -> list[Command]:
    """What this person's palette offers: the sections, and things to do."""
    pages = [Command(f"Go to {x.label.lower()}", x.href, x.icon, x.scope) for x in sections_for(session)]
    return pages + [command for command in COMMANDS if session.may(command.scope)]


def sections_for(session: Session) -> list[Section]:
    """What this person may open."""
    return [section for section in SECTIONS if session.may(section.scope)]
