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
from admin_ui.navigation import sections_for
from admin_ui.preferences import Preferences
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
    env.filters |= wording.FILTERS
    # Blocks are rendered without what stands around them, so macros are global instead of imported.
    env.globals["ui"] = env.get_template("layout/macros.html").make_module()
    return env


def icon(name: str, extra: str = "") -> Markup:
    """A decorative icon of the sprite."""
    return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
        extra, static_url("icons.svg"), name
    )


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
        "notices": request.scope["state"].get("notices", ()),
    }
    env = environment()
    if blocks:
        return HTMLResponse(render_blocks(env, template, list(blocks), {**shared, **context}), status)
    return HTMLResponse(env.get_template(template).render({**shared, **context}), status)
