"""Where a replica is, as its URL says. Pure."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit


def parse_base_url(url: str) -> tuple[Literal["http", "https"], str, int]:
    """Return scheme, host and port; raises ValueError for what isn't the plain base URL of a replica.

    Its message doesn't repeat the URL: that may hold a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not parts.hostname.isascii():
        raise ValueError("an upstream's URL is http://HOST:PORT or https://HOST:PORT")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("an upstream's URL has nothing before its host and ends after its port")
    if parts.port == 0:
        raise ValueError("an upstream's port is between 1 and 65535")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return scheme, parts.hostname, parts.port or (443 if scheme == "https" else 80)
