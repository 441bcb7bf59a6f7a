"""The table of routes as it is written: read from TOML, and checked as a whole. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gateway.paths import BadPath, normalise_path
from gateway.rate_policy import RatePolicy, parse_rate
from gateway.route import Limit, Route, RouteTable
from gateway.upstream.base_url import parse_base_url

_LIMIT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # it stands in header fields
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RouteTableError(ValueError):
    """The table can't be used; each line of the message names a block, a key and what is wrong with it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Seconds = Annotated[float, Field(gt=0, le=86_400)]


class UpstreamBlock(_Strict):
    """``[upstreams.NAME]``"""

    env: str | None = None
    urls: tuple[str, ...] | None = None
    connect_seconds: Seconds = 2.0
    first_byte_seconds: Seconds = 15.0
    idle_seconds: Seconds = 30.0
    total_seconds: Seconds = 60.0
    tunnel_idle_seconds: Seconds = 300.0
    max_connections: int = Field(default=256, ge=1, le=10_000)
    max_waiting: int = Field(default=1024, ge=0, le=100_000)
    retries: int = Field(default=1, ge=0, le=5)
    openapi: bool = True


class LimitBlock(_Strict):
    """``[limits.NAME]``"""

    rate: str
    per: Literal["client", "subject"] = "client"

    @field_validator("rate")
    @classmethod
    def _check_rate(cls, text: str) -> str:
        parse_rate("check", text)
        return text


class RouteBlock(_Strict):
    """``[[routes]]``"""

    prefix: str
    upstream: str
    access: Literal["all", "bearer"]
    methods: dict[str, str]
    limit: str | None = None
    websocket: bool = False

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, text: str) -> str:
        if text == "/" or text.endswith("/"):
            raise ValueError("a prefix has at least one segment and no slash at its end")
        try:
            normal = normalise_path(text.encode())
        except BadPath as error:
            raise ValueError(f"not a usable path: {error.reason}") from None
        if normal != text.encode():
            raise ValueError(f"write it in normal form: {normal.decode()}")
        return text

    @field_validator("methods")
    @classmethod
    def _check_methods(cls, methods: dict[str, str]) -> dict[str, str]:
        if not methods:
            raise ValueError("name at least one method")
        if unknown := methods.keys() - METHODS:
            raise ValueError(f"unknown method {', '.join(sorted(unknown))}")
        return methods


class _Document(_Strict):
    upstreams: dict[str, UpstreamBlock]
    limits: dict[str, LimitBlock] = {}
    routes: tuple[RouteBlock, ...]


def parse_route_table(
    text: str, *, environment_urls: Mapping[str, tuple[str, ...]], policies: Mapping[str, RatePolicy]
) -> RouteTable:
    """Read and check a whole table.

    Args:
        text: TOML.
        environment_urls: The URLs that an upstream's ``env`` may refer to, by variable name.
        policies: The limits that come from the environment (``anonymous``, ``user``).

    Raises:
        RouteTableError: Anything is wrong anywhere in it.
    """
    try:
        document = _Document.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RouteTableError(f"not TOML: {error}") from None
    except ValidationError as error:
        lines = [f"{_place(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
        raise RouteTableError("\n".join(lines)) from None
    problems: list[str] = []
    urls = {name: _urls(name, block, environment_urls, problems) for name, block in document.upstreams.items()}
    limits = _limits(document.limits, policies, problems)
    by_prefix: dict[bytes, Route] = {}
    for number, row in enumerate(document.routes, start=1):
        where = f"routes #{number} ({row.prefix})"
        if row.upstream not in urls:
            problems.append(f"{where}: upstream: there is no upstreams.{row.upstream}")
        if row.limit is not None and row.limit not in limits:
            problems.append(f"{where}: limit: there is no limits.{row.limit}")
        if row.websocket and "GET" not in row.methods:
            problems.append(f"{where}: websocket: needs the method GET")
        if row.access == "all" and any(row.methods.values()):
            problems.append(f'{where}: methods: a scope needs access = "bearer"')
        key = row.prefix.encode()
        if key in by_prefix:
            problems.append(f"{where}: prefix: stands twice in the table")
        by_prefix[key] = _route(row, limits.get(row.limit or ""))
    if problems:
        raise RouteTableError("\n".join(problems))
    depths = tuple(sorted({prefix.count(b"/") for prefix in by_prefix}, reverse=True))
    return RouteTable(tuple(by_prefix.values()), document.upstreams, urls, by_prefix, depths)


def _limits(
    blocks: Mapping[str, LimitBlock], policies: Mapping[str, RatePolicy], problems: list[str]
) -> dict[str, Limit]:
    limits = {name: Limit(policy, per_subject=name == "user") for name, policy in policies.items()}
    for name, block in blocks.items():
        if name in limits:
            problems.append(f"limits.{name}: this name is the environment's")
        if _LIMIT_NAME.fullmatch(name) is None:
            problems.append(f"limits.{name!r}: a limit's name is made of letters, digits, - and _")
        limits[name] = Limit(parse_rate(name, block.rate), per_subject=block.per == "subject")
    return limits


def _route(block: RouteBlock, limit: Limit | None) -> Route:
    scopes = {method: frozenset(needed.split()) for method, needed in block.methods.items()}
    return Route(
        *(block.prefix, block.upstream, block.access == "bearer", scopes),
        *(", ".join(sorted(block.methods)), limit, block.websocket),
    )


def _urls(
    name: str, block: UpstreamBlock, environment_urls: Mapping[str, tuple[str, ...]], problems: list[str]
) -> tuple[str, ...]:
    if (block.env is None) == (block.urls is None):
        problems.append(f"upstreams.{name}: give either env or urls")
        return ()
    if block.env is not None:
        if block.env not in environment_urls:
            problems.append(f"upstreams.{name}: env: {block.env} is none of {', '.join(sorted(environment_urls))}")
    elif not block.urls:
        problems.append(f"upstreams.{name}: urls: name at least one")
    urls = (block.urls if block.env is None else environment_urls.get(block.env)) or ()
    for number, url in enumerate(urls, start=1):
        try:
            parse_base_url(url)
        except ValueError as error:
            problems.append(f"upstreams.{name}: {block.env or 'urls'} #{number}: {error}")
    return tuple(url.rstrip("/") for url in urls)


def _place(location: tuple[int | str, ...]) -> str:
    if location and location[0] == "routes" and len(location) > 1 and isinstance(location[1], int):
        return ": ".join((f"routes #{location[1] + 1}", *map(str, location[2:])))
    return ".".join(map(str, location[:2])) + "".join(f": {part}" for part in location[2:])
