"""Notices that the next page shows: what was done, and a way to take it back."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request

from admin_ui.visitor import Visitor, services_of


async def leave(
    request: Request, visitor: Visitor, text: str, *, kind: str = "ok", undo: str = "", fields: Mapping[str, str] = {}
) -> None:
    """Leave a notice; ``undo`` is where its button posts ``fields`` to, ``kind`` is ``ok`` or ``warn``."""
    notice = {"kind": kind, "text": text, "undo": undo, "fields": dict(fields)}
    await services_of(request).store.notify(visitor.session, notice)
