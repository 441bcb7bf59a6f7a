"""Templates to answers: a whole page, or the blocks of it that a script of the page asked for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_blocks
from markupsafe import Markup

from admin_ui import wording
from admin_ui.assets import static_url
from admin_ui.browser import here, wants_part
from admin_ui.navigation import sections_for
from admin_ui.preferences import Preferences
from admin_ui.sentences import sentence
from admin_ui.visitor import Visitor, services_of
from servicekit.request_context import request_id

TEMPLATES = Path(__file__).resolve().parent / "templates"


@cache
def environment() -> Environment:
    """The templates; an undefined name is an error, and everything is escaped."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals |= {"static": static_url, "icon": icon}
    env.filters |= wording.FILTERS | {"sentence": sentence}
    # Blocks are rendered without what stands around them, so macros are global instead of imported.
    env.globals["ui"] = env.get_template("layout/macros.html").make_module()
    return env


def icon(name: str, extra: str = "") -> Markup:
    """A decorative icon of the sprite."""
    return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
        extra, static_url("icons.svg"), name
    )


async def page(
    request: Request, visitor: Visitor, template: str, *, part_of_it: str = "", status: int = 200, **context: Any
) -> HTMLResponse:
    """A page for somebody who is signed in, with the notices that wait for them.

    A script that asked for a part gets the block ``part_of_it``; the notices then wait on.
    """
    if part_of_it and wants_part(request):
        return part(request, template, part_of_it, status=status, **context)
    notices = await services_of(request).store.take_notices(visitor.session)
    return render(request, template, status=status, notices=notices, **context)


def part(request: Request, template: str, *blocks: str, status: int = 200, **context: Any) -> HTMLResponse:
    """Some blocks of a page, one after the other."""
    return render(request, template, blocks=blocks, status=status, **context)


def render(
    request: Request, template: str, *, blocks: tuple[str, ...] = (), status: int = 200, **context: Any
) -> HTMLResponse:
    """A page, or only some blocks of it, one after the other."""
    session = request.scope["state"].get("session")
    shared = {
        "request_id": request_id(request.scope),
        "me": session,
        "sections": sections_for(session) if session else [],
        "active": "",
        "preferences": Preferences.read(request),
        "notices": (),
        "here": here(request),
        "is_part": bool(blocks),
    }
    env = environment()
    if blocks:
        return HTMLResponse(render_blocks(env, template, list(blocks), {**shared, **context}), status)
    return HTMLResponse(env.get_template(template).render({**shared, **context}), status)
