"""admin_ui on a port of its own, for a browser, in front of a gateway that answers as a test says."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import uvicorn

from admin_ui.main import create_app
from admin_ui.settings import Settings
from tests.support.ports import free_port
from tests.support.scripted_gateway import OWN_ID, SCOPES, TOKENS, ScriptedGateway, a_user
from tests.support.wait import until


class ScriptedPages:
    """Everybody may sign in there, and is a registrar."""

    def __init__(self, state_dir: Path, redis_url: str) -> None:
        self.gateway = ScriptedGateway()
        me = {"id": OWN_ID, "username": "ada", "role": "registrar", "scopes": SCOPES["registrar"]}
        self.gateway.says("POST /auth/login", body=TOKENS)
        self.gateway.says("GET /auth/me", body={**a_user(OWN_ID, "ada", "registrar"), **me})
        settings = Settings(state_dir=state_dir, redis_url=redis_url, gateway_url=self.gateway.url, log_level="error")
        port = free_port()
        config = uvicorn.Config(create_app(settings), port=port, log_config=None, proxy_headers=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()))
        self._thread.start()
        until(lambda: self._server.started, timeout=20)
        self.url = f"http://127.0.0.1:{port}"

    def close(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True  # a browser keeps its connections open
        self._thread.join(20)
        self.gateway.close()
