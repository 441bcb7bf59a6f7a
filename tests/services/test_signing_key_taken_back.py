"""A token whose signing key was taken back is refused from the next look at the keys on, remembered or not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gateway.identify import Identifier
from servicekit.jwks_client import JwksClient
from servicekit.problems import Unauthorized
from servicekit.tokens import InvalidToken, TokenVerifier
from tests.support.signing import AUDIENCE, ISSUER, Signing


class KeyServer(ThreadingHTTPServer):
    """auth_service's key set, as the test wants it."""

    jwks: dict[str, Any]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class KeyHandler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        body = json.dumps(self.server.jwks).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[KeyServer]:
    server = KeyServer(("127.0.0.1", 0), KeyHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_a_key_taken_back_takes_the_remembered_verdicts_with_it(server: KeyServer) -> None:
    leaked, other = Signing("leaked"), Signing("other")
    token, good = leaked.token(), other.token()

    async def story() -> None:
        keys = JwksClient((server.url,), cooldown_seconds=0)
        verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
        identifier = Identifier(verifier)
        keys.when_a_key_is_gone += [verifier.forget, identifier.forget]
        header = b"Bearer " + token.encode()
        server.jwks = {"keys": leaked.jwks["keys"] + other.jwks["keys"]}
        await keys.refresh()
        await identifier.identify(header)
        assert identifier.remembered(header) is not None
        server.jwks = other.jwks
        await keys.refresh()
        assert identifier.remembered(header) is None
        with pytest.raises(Unauthorized):
            await identifier.identify(header)
        with pytest.raises(InvalidToken):
            await verifier.verify_fresh(token)
        assert (await verifier.verify_fresh(good)).sub

    asyncio.run(story())
