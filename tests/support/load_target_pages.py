"""The admin pages of the load tests' simulated system."""

from __future__ import annotations

from urllib.parse import parse_qs

from tests.support.load_target_world import Reply, Request, World

SHOWN = 10
SIGN_IN = '<form method="post"><input type="hidden" name="csrf" value="c5rf"></form>'


def admin_reply(world: World, request: Request) -> Reply:
    """A page, part of one, or where the sign-in leads to."""
    if request.path == "/admin/login":
        if request.method == "GET":
            return 200, {"set-cookie": "csrf=c5rf; Path=/admin"}, _page(SIGN_IN)
        form = parse_qs(request.content.decode())
        is_right = world.passwords.get(form["username"][0]) == form["password"][0] and form["csrf"] == ["c5rf"]
        if not is_right:
            return 200, {}, _page(SIGN_IN)
        return 303, {"location": form["next"][0], "set-cookie": "session=s; Path=/admin"}, None
    if "session=s" not in request.headers.get("cookie", ""):
        return 303, {"location": "/admin/login"}, None
    if world.fault == "page-errors":
        return 500, {}, None
    if world.fault == "page-wrong":
        return 200, {}, _page("The system is being maintained.")
    if request.path != "/admin/students":
        return 200, {}, _page("Ada Lovelace")
    links = "".join(f'<a href="/admin/students/{identifier}"></a>' for identifier in list(world.students)[:SHOWN])
    results = f'<div id="results"><table>{links}</table></div>'
    is_part = request.headers.get("hx-request-type") == "partial" and world.fault != "page-whole"
    return 200, {}, results if is_part else _page(f"<h1>Students</h1>{results}")


def _page(content: str) -> str:
    return f"<!doctype html><html><body><main>{content}</main></body></html>"
