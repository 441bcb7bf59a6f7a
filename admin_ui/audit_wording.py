"""The audit trail, roles and scopes in words that people use. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from admin_ui.wording import role_label

ROLE_HINTS = {
    "viewer": "Sees student records.",
    "registrar": "Sees, adds and changes student records.",
    "admin": "Does what a registrar does, manages users, and sees how the system is.",
}
SCOPES = {
    "students:read": "See student records",
    "students:write": "Add, change, delete and restore student records",
    "users:manage": "Manage users and their sessions, and read the audit trail",
    "ops:read": "See the state of the system",
}
EVENTS = {
    "sign_in": "Signed in",
    "sign_in_failed": "Sign-in failed",
    "sign_out": "Signed out",
    "sign_out_all": "Signed out everywhere",
    "refresh_reused": "A used-up token came back",
    "session_revoked": "Session ended",
    "sessions_revoked": "All sessions ended",
    "password_changed": "Password changed",
    "password_change_failed": "Password change failed",
    "user_created": "User created",
    "user_changed": "User changed",
    "user_deleted": "User deleted",
}
TONES = {
    "sign_in_failed": "warn",
    "password_change_failed": "warn",
    "refresh_reused": "bad",
    "user_deleted": "bad",
    "sign_in": "good",
    "user_created": "good",
}
REASONS = {
    "unknown_user": "no user of that name",
    "wrong_password": "wrong password",
    "disabled": "the user is disabled",
    "changed_meanwhile": "the password was changed meanwhile",
}


@dataclass(frozen=True)
class Told:
    """One entry of the trail: what happened, and what more there is to say."""

    what: str
    more: str
    tone: str
    entry: Mapping[str, Any]


def tell(entry: Mapping[str, Any]) -> Told:
    """An entry of the API in words; what is not known is told as it is named."""
    event, details = str(entry["event"]), entry.get("details") or {}
    what = EVENTS.get(event, event.replace("_", " ").capitalize())
    return Told(what, _more(event, details), TONES.get(event, "calm"), entry)


def _more(event: str, details: Mapping[str, Any]) -> str:
    parts = []
    if event == "refresh_reused":
        parts.append("it may have been copied; the session was ended")
    if "reason" in details:
        parts.append(REASONS.get(str(details["reason"]), str(details["reason"]).replace("_", " ")))
    if "role" in details:
        role = role_label(details["role"])
        parts.append(f"now {role.lower()}" if event == "user_changed" else role.lower())
    if "disabled" in details:
        parts.append("disabled" if details["disabled"] else "enabled again")
    if details.get("password_reset"):
        parts.append("password reset")
    ended = details.get("sessions", details.get("sessions_ended"))
    if isinstance(ended, int):
        parts.append("1 session ended" if ended == 1 else f"{ended} sessions ended")
    return ", ".join(parts)
