"""``/docs``: Swagger UI from our own files, so that it works without a network and under a strict CSP."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from servicekit.problems import NotFound

ASSETS = Path(__file__).parent / "static" / "swagger-ui"
MEDIA_TYPES = {"swagger-ui-bundle.js": "text/javascript", "start.js": "text/javascript", "swagger-ui.css": "text/css"}
# Swagger UI sets style attributes and draws its icons from data: URLs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui" data-openapi-url="/openapi.json"></div>
<noscript>This page needs JavaScript; the document itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
"""


def docs_router(title: str) -> APIRouter:
    """The page and its files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(PAGE.format(title=title), headers={"Content-Security-Policy": POLICY})

    @router.get("/docs/assets/{name}")
    def asset(name: str) -> Response:
        if name not in MEDIA_TYPES:
            raise NotFound
        headers = {"Cache-Control": "public, max-age=3600"}
        return Response((ASSETS / name).read_bytes(), media_type=MEDIA_TYPES[name], headers=headers)

    return router
