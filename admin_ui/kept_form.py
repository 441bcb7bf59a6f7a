"""A form that came when nobody was signed in any more, or that met an error: carried through the sign-in page, or kept
on the error's, so that nothing typed is lost.

It is not sent by itself afterwards: the person sees that it waits, and sends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from admin_ui.browser import HOME, SIGN_IN, is_htmx, safe_target

PREFIX = "kept."
NEVER_KEPT = ("csrf", "password")
# What forms carry along for themselves.
NOT_TYPED = (
    "action", "etag", "everywhere", "id", "key", "leave_out", "matching", "next", "original", "restore", "state",
    "theirs", "total", "yours",
)  # fmt: skip


@dataclass(frozen=True)
class KeptForm:
    """Where a form was to go, and what was in it."""

    to: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    async def of_request(cls, request: Request) -> Self:
        """What this request was sent with; passwords and files are not kept."""
        to = request.url.path
        if safe_target(to) != to or to == SIGN_IN:
            return cls()
        form = request.scope["state"].get("form")
        try:
            form = form or await request.form()
        except HTTPException:  # it can't be read, so there is nothing to keep
            return cls()
        kept = [
            (name, value)
            for name, value in form.multi_items()
            if isinstance(value, str) and not any(word in name for word in NEVER_KEPT)
        ]
        return cls(to, tuple(kept)) if kept else cls()

    @classmethod
    async def of_failed(cls, request: Request) -> Self:
        """What was typed into a form of ours that could not be done; nothing when a script asked, which keeps it."""
        form = request.scope["state"].get("form")
        if form is None or is_htmx(request) or not all(isinstance(value, str) for value in form.values()):
            return cls()
        kept = await cls.of_request(request)
        return kept if any(value and name not in NOT_TYPED for name, value in kept.fields) else cls()

    @classmethod
    def carried(cls, form: FormData) -> Self:
        """What the sign-in form carries along."""
        to = str(form.get("kept_to", ""))
        if not to or safe_target(to) != to or to == HOME:
            return cls()
        items = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        return cls(to, tuple((name.removeprefix(PREFIX), value) for name, value in items if name.startswith(PREFIX)))
