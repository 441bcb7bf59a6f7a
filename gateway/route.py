"""Routes ready for use, and the table that finds a request's: the longest prefix that its path begins with. Pure.

A look-up costs one dictionary access for each length of prefix that the table has, however many routes there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.rate_policy import RatePolicy

if TYPE_CHECKING:
    from gateway.route_table import UpstreamBlock


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate and who it is counted for."""

    policy: RatePolicy
    per_subject: bool


@dataclass(frozen=True, slots=True)
class Route:
    """One route, ready for use: what the pipeline asks of it is precomputed."""

    prefix: str
    upstream: str
    needs_token: bool
    scopes: Mapping[str, frozenset[str]]  # by method
    allow: str  # the Allow header of its 405
    limit: Limit | None  # None: the default for callers with and without a token
    websocket: bool = False  # a GET may switch to one


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Everything ``routes.toml`` says."""

    routes: tuple[Route, ...]
    upstreams: Mapping[str, UpstreamBlock]
    urls: Mapping[str, tuple[str, ...]]
    by_prefix: Mapping[bytes, Route]
    depths: tuple[int, ...]  # numbers of segments that prefixes have, longest first

    def match(self, path: bytes) -> Route | None:
        """The route whose prefix is the longest that ``path`` (in normal form) begins with, by whole segments."""
        by_prefix = self.by_prefix
        for depth in self.depths:
            end = 0
            for _ in range(depth):
                end = path.find(b"/", end + 1)
                if end < 0:
                    break
            route = by_prefix.get(path if end < 0 else path[:end])
            if route is not None:
                return route
        return None
