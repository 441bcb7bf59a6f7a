"""Readiness of the upstreams, asked for over the control plane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx2

from gateway.forward import Forwarding
from servicekit.problems import ServiceUnavailable

ASK_SECONDS = 0.8


def upstream_checks(current: Callable[[], Forwarding]) -> dict[str, Callable[[], Awaitable[None]]]:
    """A check for each upstream of the table: at least one of its replicas is alive."""

    def check_of(name: str) -> Callable[[], Awaitable[None]]:
        async def check() -> None:
            urls = current().table.urls.get(name, ())
            async with httpx2.AsyncClient(timeout=ASK_SECONDS / max(1, len(urls)), trust_env=False) as client:
                for url in urls:
                    try:
                        if (await client.get(url + "/healthz")).status_code == 200:
                            return
                    except httpx2.HTTPError:
                        continue
            raise ServiceUnavailable(f"No replica of {name} answers.")

        return check

    return {name: check_of(name) for name in current().table.upstreams}
