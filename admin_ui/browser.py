"""What the browser says of a request and is told in its answer: htmx's headers, redirects, cookies."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

HOME = "/admin/"
SIGN_IN = "/admin/login"
LONGEST_TARGET = 2_000


def is_htmx(request: Request) -> bool:
    """Whether a script of the page asks, not the browser itself."""
    return request.headers.get("hx-request") == "true"


def wants_part(request: Request) -> bool:
    """Whether only a part of the page is wanted: not when history is restored or the whole body replaced."""
    return is_htmx(request) and request.headers.get("hx-request-type") == "partial"


def safe_target(target: str | None) -> str:
    """Where ``next=`` leads: a path of this UI, else home. Nothing that a browser could read as another site."""
    if not target or len(target) > LONGEST_TARGET or not target.startswith("/admin/"):
        return HOME
    # Browsers drop tabs and line ends inside an address, and take a backslash for a slash.
    if "\\" in target or not target.isprintable() or urlsplit(target).path.startswith("//"):
        return HOME
    if any(part in {".", ".."} for part in urlsplit(target).path.split("/")):
        return HOME
    if urlsplit(target).path in {SIGN_IN, "/admin/logout"}:
        return HOME
    return target


def here(request: Request) -> str:
    """The page that the person looks at, as a target to come back to."""
    if is_htmx(request):
        current = urlsplit(request.headers.get("hx-current-url", ""))
        return safe_target(current.path + ("?" + current.query if current.query else ""))
    if request.method != "GET":
        return HOME
    query = request.url.query
    return safe_target(request.url.path + ("?" + query if query else ""))


def go_to(request: Request, target: str) -> Response:
    """Send the person to another page. The one place that redirects: ``fetch`` would follow a 303 into a fragment."""
    if is_htmx(request):
        return Response(status_code=200, headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)
