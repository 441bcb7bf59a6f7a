"""``GET /``: the way in."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

router = APIRouter(tags=["gateway"])

LINKS = {
    "documentation": "/docs",
    "openapi": "/openapi.json",
    "health": "/healthz",
    "readiness": "/readyz",
    "metrics": "/metrics",
    "keys": "/.well-known/jwks.json",
    "sign_in": "/auth/login",
    "me": "/auth/me",
    "users": "/auth/users/",
    "students": "/students/",
    "admin_ui": "/admin/",
}


@router.get("/", summary="Index of the API", response_class=JSONResponse)
def index(request: Request) -> Response:
    """Links to everything; a browser is sent to the admin UI."""
    if prefers_html(request.headers.get("accept", "")):
        return RedirectResponse("/admin/", status_code=303, headers={"Vary": "Accept"})
    return JSONResponse({"name": "Matricula", "links": LINKS}, headers={"Vary": "Accept"})


def prefers_html(accept: str) -> bool:
    """Whether an Accept header names text/html with a higher quality than JSON (RFC 9110 §12.5.1)."""
    quality = {"text/html": 0.0, "application/json": 0.0}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if kind in quality:
            quality[kind] = next((_number(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
    return quality["text/html"] > quality["application/json"]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
