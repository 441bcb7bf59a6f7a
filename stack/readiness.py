"""Asking a process whether it is ready: one plain HTTP request at a time, no client library needed."""

from __future__ import annotations

import asyncio

from stack.layout import Service

ANSWER_TIMEOUT_SECONDS = 3.0
_PAUSE_SECONDS = 0.1
_SHOWN_CHARACTERS = 300


class NotReady(Exception):
    """The deadline passed; the message says what the process answered last."""


async def wait_until_ready(service: Service, timeout_seconds: float) -> None:
    """Returns once the service's ready path answers 200; raises NotReady after `timeout_seconds`."""
    last = "nothing answers there"
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                try:
                    async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                        status, body = await _get(service)
                except TimeoutError:
                    last = f"no answer within {ANSWER_TIMEOUT_SECONDS:g} seconds"
                except OSError:
                    last = "nothing answers there"
                else:
                    if status == "200":
                        return
                    last = f"it answers {status or 'no HTTP'}: {body[:_SHOWN_CHARACTERS]}"
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        where = f"port {service.port}, {service.ready_path}"
        raise NotReady(f"{service.name} was not ready after {timeout_seconds:g} seconds ({where}): {last}") from None


async def _get(service: Service) -> tuple[str, str]:
    """The status code and body of GET on the ready path."""
    reader, writer = await asyncio.open_connection(service.host, service.port)
    try:
        host = f"[{service.host}]" if ":" in service.host else service.host
        request = f"GET {service.ready_path} HTTP/1.1\r\nHost: {host}:{service.port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        answer = (await reader.read()).decode(errors="replace")
    finally:
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return head.partition(" ")[2][:3], " ".join(body.split())
