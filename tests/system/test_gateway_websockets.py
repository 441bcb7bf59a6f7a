"""WebSockets through the gateway, where a route allows them: as a tunnel that keeps to the gateway's rules."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator

import pytest
import redis
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from servicekit.valkey_process import ValkeyProcess
from tests.support.gateway_process import GatewayProcess, StartGateway, Upstreams, answer, head
from tests.support.scripted_upstream import Peer, Received, Upstream, says
from tests.support.signing import Signing
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

HANDSHAKE = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Chat:
    """A WebSocket server that answers each message with itself, and knows who is connected."""

    def __init__(self) -> None:
        self.open: set[ServerConnection] = set()
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._server = serve(self._talk, "127.0.0.1", 0, max_size=None)
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        self.headers.append({name.lower(): value for name, value in connection.request.headers.raw_items()})
        self.open.add(connection)
        try:
            for message in connection:
                connection.send(message)
        finally:
            self.open.discard(connection)

    def close(self) -> None:
        self._server.shutdown()
        for connection in list(self.open):
            connection.close()
        self._thread.join(10)


@pytest.fixture(scope="module")
def chat() -> Iterator[Chat]:
    server = Chat()
    yield server
    server.close()


@pytest.fixture(scope="module")
def raw(upstreams: Upstreams) -> Upstream:
    """An upstream that speaks what its scripts say."""
    return upstreams.start()


def table(chat: Chat, raw: Upstream, *, idle_seconds: float = 300) -> str:
    return (
        f'[upstreams.chat]\nurls = ["{chat.url}"]\nopenapi = false\ntunnel_idle_seconds = {idle_seconds}\n'
        f'[upstreams.raw]\nurls = ["{raw.url}"]\nopenapi = false\nretries = 0\nfirst_byte_seconds = 1\n'
        '[[routes]]\nprefix = "/chat"\nupstream = "chat"\naccess = "bearer"\nwebsocket = true\n'
        'methods = { GET = "students:read" }\n'
        '[[routes]]\nprefix = "/open"\nupstream = "chat"\naccess = "all"\nwebsocket = true\nmethods = { GET = "" }\n'
        '[[routes]]\nprefix = "/raw"\nupstream = "raw"\naccess = "all"\nwebsocket = true\n'
        'methods = { GET = "", POST = "" }\n'
    )


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway, chat: Chat, raw: Upstream) -> GatewayProcess:
    return start_gateway(table(chat, raw))


def dial(gateway: GatewayProcess, path: str, *, token: str | None = None) -> ClientConnection:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"ws://127.0.0.1:{gateway.port}{path}"
    return connect(url, additional_headers=headers, max_size=None, compression=None, proxy=None)


def ended(gateway: GatewayProcess, path: str) -> dict[str, object]:
    """The log line of the only tunnel there was at this path."""

    def lines() -> list[dict[str, object]]:
        return [line for line in gateway.events("request") if line["path"] == path]

    until(lines)
    (line,) = lines()
    return line


def test_messages_of_any_kind_and_size_pass_both_ways(gateway: GatewayProcess, chat: Chat, signing: Signing) -> None:
    with dial(gateway, "/chat/room?x=1", token=signing.token(username="ada")) as socket:
        for message in ("hello", "größer", b"\x00\xff" * 1_000_000, ""):
            socket.send(message)
            assert socket.recv(timeout=20) == message
    assert chat.paths[-1] == "/chat/room?x=1"
    assert chat.headers[-1]["x-forwarded-for"] == "127.0.0.1"
    line = ended(gateway, "/chat/room")
    assert (line["status"], line["user"]) == (101, "ada")
    assert line["ended_by"] == "upstream"  # the server closes first (RFC 6455 §7.1.1)
    assert line["bytes_from_client"] > 2_000_000  # type: ignore[operator]  # a number
    until(lambda: not chat.open)


def test_a_handshake_passes_the_same_gate_as_any_request(gateway: GatewayProcess, signing: Signing, chat: Chat) -> None:
    before = len(chat.paths)
    for token, status in ((None, 401), ("nonsense", 401), (signing.token(scopes=[]), 403)):
        with pytest.raises(InvalidStatus) as refused:
            dial(gateway, "/chat/gate", token=token)
        assert refused.value.response.status_code == status
        assert refused.value.response.headers["content-type"] == "application/problem+json"
    assert len(chat.paths) == before


def test_many_sockets_keep_apart(gateway: GatewayProcess) -> None:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(dial(gateway, f"/open/{number}")) for number in range(20)]
        for number, socket in enumerate(sockets):
            socket.send(f"from {number}")
        assert [socket.recv(timeout=10) for socket in reversed(sockets)] == [f"from {n}" for n in reversed(range(20))]


def test_what_the_client_sends_early_and_the_upstream_sends_at_once_is_not_lost(
    gateway: GatewayProcess, raw: Upstream
) -> None:
    seen: list[bytes] = []

    async def talk(peer: Peer, _request: Received) -> bool:
        peer.writer.write(SWITCHING + b"welcome")
        seen.append(await peer.reader.readexactly(9))
        await peer.say(b", friend")
        return False

    raw.scripts[b"/raw/early"] = talk
    with gateway.connect() as client:
        client.send(head("/raw/early", *HANDSHAKE) + b"too early")
        assert client.response().status == 101
        assert client.rest() == b"welcome, friend"
    assert seen == [b"too early"]


def test_a_client_that_leaves_is_gone_for_the_upstream_within_a_second(gateway: GatewayProcess, chat: Chat) -> None:
    with gateway.connect() as client:
        client.send(head("/open/leaving", *HANDSHAKE))
        assert client.response().status == 101
        until(lambda: chat.open)
    left = time.monotonic()
    until(lambda: not chat.open)
    assert time.monotonic() - left < 1
    assert ended(gateway, "/open/leaving")["ended_by"] == "client"


def test_an_upstream_that_dies_ends_the_clients_connection(gateway: GatewayProcess, raw: Upstream) -> None:
    raw.scripts[b"/raw/dies"] = says(SWITCHING + b"last words", then="reset")
    with gateway.connect() as client:
        client.send(head("/raw/dies", *HANDSHAKE))
        assert client.response().status == 101
        assert b"last words".startswith(client.rest())
    assert ended(gateway, "/raw/dies")["ended_by"] == "upstream"


def test_an_upstream_may_say_no(gateway: GatewayProcess, raw: Upstream) -> None:
    raw.scripts[b"/raw/no"] = says(answer(b"not today", b"403 Forbidden"))
    with gateway.connect() as client:
        client.send(head("/raw/no", *HANDSHAKE) + head("/raw/hidden-in-frames"))
        refused = client.response()
        assert (refused.status, refused.body) == (403, b"not today")
        assert client.is_closed()
    assert [request.target for request in raw.received if b"hidden" in request.target] == []


@pytest.mark.parametrize(
    "reply",
    {
        "another protocol": SWITCHING.replace(b"websocket", b"h2c"),
        "no protocol": SWITCHING.replace(b"Upgrade: websocket\r\n", b""),
        "no acceptance": SWITCHING.replace(b"Sec-WebSocket-Accept", b"X-Accept"),
        "no upgrade of the connection": SWITCHING.replace(b"Connection: Upgrade", b"Connection: keep-alive"),
    }.items(),
    ids=lambda case: case[0],
)
def test_an_upstream_that_switches_to_what_nobody_asked_for_is_a_bad_gateway(
    gateway: GatewayProcess, raw: Upstream, reply: tuple[str, bytes]
) -> None:
    raw.scripts[b"/raw/odd"] = says(reply[1] + b"\x81\x02hi", then="hold")
    assert gateway.ask("/raw/odd", *HANDSHAKE).status == 502


def test_a_silent_upstream_is_a_gateway_timeout(gateway: GatewayProcess, raw: Upstream) -> None:
    raw.scripts[b"/raw/silent"] = says(then="hold")
    assert gateway.ask("/raw/silent", *HANDSHAKE).status == 504


@pytest.mark.parametrize(
    "request_bytes",
    {
        "a POST": head("/raw/x", *HANDSHAKE, "Content-Length: 0", method="POST"),
        "with a body": head("/raw/x", *HANDSHAKE, "Content-Length: 2") + b"hi",
        "HTTP/1.0": head("/raw/x", *HANDSHAKE, version="1.0"),
    }.items(),
    ids=lambda case: case[0],
)
def test_a_handshake_that_is_none_is_a_bad_request(
    gateway: GatewayProcess, raw: Upstream, request_bytes: tuple[str, bytes]
) -> None:
    before = len(raw.received)
    with gateway.connect() as client:
        client.send(request_bytes[1])
        assert client.response().status == 400
        assert client.is_closed()
    assert len(raw.received) == before


def test_a_revoked_session_loses_its_socket(gateway: GatewayProcess, signing: Signing, valkey: ValkeyProcess) -> None:
    session = str(uuid.uuid4())
    with dial(gateway, "/chat/revoked", token=signing.token(sid=session)) as socket:
        socket.send("still here")
        assert socket.recv(timeout=10) == "still here"
        with redis.Redis.from_url(valkey.url) as denylist:
            denylist.set(f"denylist:sid:{session}", "1", ex=60)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=15)
    assert ended(gateway, "/chat/revoked")["ended_by"] == "revoked"


def test_a_socket_ends_with_its_token(gateway: GatewayProcess, signing: Signing) -> None:
    with (
        dial(gateway, "/chat/expired", token=signing.token(expires_in=3)) as socket,
        pytest.raises(ConnectionClosed),
    ):
        socket.recv(timeout=15)
    assert ended(gateway, "/chat/expired")["ended_by"] == "expired"


def test_a_socket_on_which_nothing_passes_ends(start_gateway: StartGateway, chat: Chat, raw: Upstream) -> None:
    gateway = start_gateway(table(chat, raw, idle_seconds=0.5))
    with dial(gateway, "/open/idle") as socket, pytest.raises(ConnectionClosed):
        socket.recv(timeout=10)
    assert ended(gateway, "/open/idle")["ended_by"] == "idle"


def test_a_reader_that_stops_stops_the_writer_not_the_memory(gateway: GatewayProcess, raw: Upstream) -> None:
    written = [0]

    async def flood(peer: Peer, _request: Received) -> bool:
        peer.writer.write(SWITCHING)
        for _ in range(200):
            peer.writer.write(bytes(1_000_000))
            await peer.writer.drain()
            written[0] += 1_000_000
        return False

    raw.scripts[b"/raw/flood"] = flood
    memory = gateway.memory()
    with gateway.connect() as client:
        client.send(head("/raw/flood", *HANDSHAKE))
        assert client.response().status == 101
        # It doesn't read: what the kernel's buffers hold has been written, and no more comes.
        samples: list[int] = []

        def has_stopped() -> bool:
            samples.append(written[0])
            return samples[-1] > 0 and samples[-20:].count(samples[-1]) == 20

        until(has_stopped, timeout=20)
        assert written[0] < 100_000_000
        assert gateway.memory() - memory < 30_000_000
        rest = sum(map(len, iter(lambda: client.socket.recv(1_000_000), b"")))
        assert len(client.received) + rest == 200_000_000
    assert gateway.memory() - memory < 30_000_000


def test_sockets_close_when_the_gateway_stops(start_gateway: StartGateway, chat: Chat, raw: Upstream) -> None:
    gateway = start_gateway(table(chat, raw))
    with dial(gateway, "/open/stopping") as socket:
        socket.send("x")
        assert socket.recv(timeout=10) == "x"
        asked = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - asked < 10
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
    assert ended(gateway, "/open/stopping")["ended_by"] == "shutdown"
    until(lambda: not chat.open)


def test_a_table_that_allows_sockets_without_get_is_refused(start_gateway: StartGateway, chat: Chat) -> None:
    routes = (
        f'[upstreams.chat]\nurls = ["{chat.url}"]\n[[routes]]\nprefix = "/c"\nupstream = "chat"\naccess = "all"\n'
        'websocket = true\nmethods = { POST = "" }\n'
    )
    gateway = start_gateway(routes, wait=False)
    assert gateway.process.wait(40) != 0
    assert "routes #1 (/c): websocket: needs the method GET" in gateway.output.read_text()
