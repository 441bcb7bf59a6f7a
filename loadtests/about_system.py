"""What can be found out about the system under test from outside, so that a report says it without being told.

Its version, the workers of the gateway (and of student_service, where `--direct-url` is on the same host), its rate
limits from the `RateLimit-Policy` fields, its dependencies, and how many students it has. What doesn't answer is left
out: `--note` says the rest, and has the last word.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from loadtests.plain_client import Plain, Unreachable, ask, sign_out

TIMEOUT_SECONDS = 5.0
POLICY = re.compile(r'"(?P<name>[^"]*)";q=(?P<quota>\d+);w=(?P<window>\d+)')
WORKERS = re.compile(r"^service_workers (\d+)", re.MULTILINE)


def describe_system(host: str, admin: tuple[str, str], direct_url: str = "") -> dict[str, str]:
    """Facts by name.

    Args:
        host: The gateway's URL.
        admin: Username and password of somebody with `ops:read`.
        direct_url: student_service's own; it isn't asked unless it is on the gateway's host, so that nobody else is
            told the token.
    """

    def asked(method: str, path: str, at: str = host, **options: Any) -> Plain:
        try:
            return ask(method, at + path, timeout_seconds=TIMEOUT_SECONDS, **options)
        except Unreachable:
            return Plain(0, {}, b"")

    signed_in = asked("POST", "/auth/login", body={"username": admin[0], "password": admin[1]})
    token = str(_inside(signed_in, "access_token") or "") or None
    described = asked("GET", "/openapi.json")
    is_near = urlsplit(direct_url).hostname == urlsplit(host).hostname
    found = {
        "version": " ".join(str(_inside(described, "info", name) or "") for name in ("title", "version")).strip(),
        "gateway workers": _workers(asked("GET", "/metrics", token=token)),
        "student_service workers": _workers(asked("GET", "/metrics", direct_url, token=token)) if is_near else "",
        "depends on": ", ".join(_inside(asked("GET", "/readyz"), "dependencies") or ()),
        "students": _count(_inside(asked("GET", "/students/?limit=1", token=token), "total")),
    }
    for answer in (signed_in, asked("GET", "/auth/me"), asked("GET", "/auth/me", token=token)):
        for policy in POLICY.finditer(answer.headers.get("ratelimit-policy", "")):
            found[f"rate limit {policy['name']}"] = f"{int(policy['quota']):,} in {policy['window']} s"
    if token:
        sign_out(host, token)
    return {name: value for name, value in found.items() if value}


def _inside(answer: Plain, *names: str) -> Any:
    value = answer.json() if answer.status in (200, 503) else None
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _workers(answer: Plain) -> str:
    found = WORKERS.search(answer.content.decode("utf-8", "replace")) if answer.status == 200 else None
    return found[1] if found else ""


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""
