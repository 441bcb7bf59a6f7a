"""The files under ``static/``, at an address that changes with their content: a browser keeps them for good.

The digest stands before the name, so that what files say of each other by relative addresses has it too.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from servicekit.problems import NotFound

FOLDER = Path(__file__).resolve().parent / "static"
PREFIX = "/admin/static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
COMPRESSED = {".css", ".js", ".svg"}
KEEP_FOR_GOOD = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, max-age=300"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Asset:
    """One file, as it is sent."""

    content: bytes
    compressed: bytes | None
    media_type: str
    digest: str


@cache
def asset(name: str) -> Asset:
    """The file of this name below ``static/``.

    Raises:
        NotFound: There is none, or it is of a kind that isn't served.
    """
    path = FOLDER / name
    if path.suffix not in MEDIA_TYPES or FOLDER not in path.resolve().parents or not path.is_file():
        raise NotFound("There is no such file.")
    content = path.read_bytes()
    compressed = gzip.compress(content, 6, mtime=0) if path.suffix in COMPRESSED else None
    return Asset(content, compressed, MEDIA_TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:12])


@cache
def release() -> str:
    """A digest of all the files together."""
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in MEDIA_TYPES:
            name = path.relative_to(FOLDER).as_posix()
            digest.update(f"{name} {asset(name).digest}\n".encode())
    return digest.hexdigest()[:12]


def static_url(name: str) -> str:
    """The address of a file."""
    return f"{PREFIX}/{release()}/{name}"


@router.get(PREFIX + "/{digest}/{name:path}")
def read_asset(request: Request, digest: str, name: str) -> Response:
    """One file; to be kept for good when it is the one that was meant."""
    found = asset(name)
    tag = f'"{found.digest}"'
    headers = {
        "Cache-Control": KEEP_FOR_GOOD if digest == release() else ASK_AGAIN,
        "ETag": tag,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    content = found.content
    if found.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content = found.compressed
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=found.media_type, headers=headers)
