"""What stands before the gateway in production: TLS ends here, and headers say how and by whom it was asked."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from tests.support.ports import free_port
from tests.support.tls_front import make_certificate
from tests.support.wait import until

PER_CONNECTION = {b"connection", b"keep-alive", b"transfer-encoding", b"content-length"}


class HttpsFront:
    """Forwards to a gateway that trusts it; ``client`` is the address that it says the request came from."""

    def __init__(self, upstream: str, folder: Path) -> None:
        self.client = "192.0.2.1"
        self.certificate, key = make_certificate(folder)
        self._upstream = upstream
        port = free_port()
        config = uvicorn.Config(
            self._forward,
            port=port,
            ssl_certfile=self.certificate,
            ssl_keyfile=key,
            lifespan="off",
            interface="asgi3",
            ws="none",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()))
        self._thread.start()
        until(lambda: self._server.started, timeout=20)
        self.url = f"https://127.0.0.1:{port}"

    def close(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True  # a browser keeps its connections open
        self._thread.join(20)

    async def _forward(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = [field for field in scope["headers"] if field[0] not in PER_CONNECTION]
        headers += [(b"x-forwarded-proto", b"https"), (b"x-forwarded-for", self.client.encode())]
        target = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        async with httpx2.AsyncClient(base_url=self._upstream, timeout=60, trust_env=False) as client:
            request = httpx2.Request(scope["method"], self._upstream + target, headers=headers, content=body)
            answer = await client.send(request, stream=True)
            try:
                content = b"".join([piece async for piece in answer.aiter_raw()])
            finally:
                await answer.aclose()
        back = [field for field in answer.headers.raw if field[0].lower() not in PER_CONNECTION]
        back.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": answer.status_code, "headers": back})
        await send({"type": "http.response.body", "body": content})
