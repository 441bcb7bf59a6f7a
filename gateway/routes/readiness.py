"""Readiness of the upstreams, asked for over the control plane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

import httpx2

from gateway.forward import Forwarding
from servicekit.control_client import control_client
from servicekit.problems import ServiceUnavailable

ASK_SECONDS = 0.8


class UpstreamChecks(Mapping[str, Callable[[], Awaitable[None]]]):
    """A check for each upstream of the table in use now: at least one of its replicas is alive."""

    def __init__(self, current: Callable[[], Forwarding]) -> None:
        self._current = current

    def __getitem__(self, name: str) -> Callable[[], Awaitable[None]]:
        urls = self._current().table.urls[name]

        async def check() -> None:
            async with control_client(ASK_SECONDS / max(1, len(urls))) as client:
                for url in urls:
                    try:
                        if (await client.get(url + "/healthz")).status_code == 200:
                            return
                    except httpx2.HTTPError:
                        continue
            raise ServiceUnavailable(f"No replica of {name} answers.")

        return check

    def __iter__(self) -> Iterator[str]:
        return iter(self._current().table.upstreams)

    def __len__(self) -> int:
        return len(self._current().table.upstreams)
