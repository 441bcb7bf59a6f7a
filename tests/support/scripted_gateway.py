"""A gateway that answers as a test says, for admin_ui in one process; and admin_ui as a signed-in person sees it."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.testclient import TestClient

from admin_ui.main import create_app
from admin_ui.settings import Settings

SCOPES = {
    "viewer": ["students:read"],
    "registrar": ["students:read", "students:write"],
    "admin": ["students:read", "students:write", "users:manage", "ops:read"],
}
OWN_ID = "0199aaaa-0000-7000-8000-000000000001"
MOMENT = "2026-11-24T09:30:00Z"
TOKENS = {"access_token": "access", "refresh_token": "refresh", "expires_in": 900, "refresh_expires_in": 9000}


class ScriptedGateway:
    """Answers by method and path, and keeps what it was asked; an unknown path is 404."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any, dict[str, str]]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def says(self, call: str, status: int = 200, body: Any = None, **headers: str) -> None:
        """What ``"GET /path"`` is answered with; an error's body is a problem."""
        self.answers[call] = (status, body, headers)

    def refuses(
        self, call: str, status: int, detail: str = "", *, retry_after: int | None = None, **fields: str
    ) -> None:
        """An error answer, ``fields`` by their names with what is wrong."""
        errors = [{"field": name, "message": message} for name, message in fields.items()]
        body = {"title": "Refused", "status": status, "detail": detail, "errors": errors}
        self.says(call, status, body, **({"retry-after": str(retry_after)} if retry_after else {}))

    def calls(self, call: str) -> list[tuple[str, Any]]:
        """The query and the body of each such call."""
        return [(query, body) for name, query, body in self.asked if name == call]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                target = urlsplit(self.path)
                content = self.rfile.read(int(self.headers.get("content-length", 0)))
                name = f"{self.command} {target.path}"
                gateway.asked.append((name, target.query, orjson.loads(content) if content else None))
                missing: tuple[int, Any, dict[str, str]] = (
                    404,
                    {"title": "Not Found", "detail": "There is nothing."},
                    {},
                )
                status, body, headers = gateway.answers.get(name, missing)
                sent = b"" if body is None else orjson.dumps(body)
                self.send_response(status)
                for key, value in {
                    "x-request-id": "of-the-gateway",
                    "content-length": str(len(sent)),
                    **headers,
                }.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - the names that http.server calls

            def log_message(self, *_: object) -> None:
                """Nothing: a test's output is its own."""

        return Handler


class Person:
    """Somebody who is signed in: gets pages, and sends forms with their token as a browser would."""

    def __init__(self, client: TestClient, gateway: ScriptedGateway) -> None:
        self.client = client
        self.gateway = gateway
        self.csrf = ""

    def sign_in(self, role: str) -> None:
        me = {"id": OWN_ID, "username": "ada", "role": role, "scopes": SCOPES[role]}
        self.gateway.says("POST /auth/login", body=TOKENS)
        self.gateway.says("GET /auth/me", body={**a_user(OWN_ID, "ada", role), **me})
        form = self.client.get("/admin/login").text
        sent = {"username": "ada", "password": "secret", "csrf": token_in(form), "next": "/admin/profile/password"}
        answer = self.client.post("/admin/login", data=sent)
        assert answer.status_code == 200, answer.text
        self.csrf = token_in(answer.text)

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=headers)

    def post(self, path: str, **fields: str) -> Any:
        """Sends a form; the answer is what comes first, without following a redirect."""
        return self.client.post(path, data={"csrf": self.csrf, **fields}, follow_redirects=False)


def admin_ui_client(gateway: ScriptedGateway, state_dir: Path, redis_url: str, **changed: Any) -> TestClient:
    """admin_ui in this process, talking to ``gateway``, its settings ``changed``; enter it to run its lifespan."""
    settings = Settings(state_dir=state_dir, redis_url=redis_url, gateway_url=gateway.url, log_level="error", **changed)
    return TestClient(create_app(settings), raise_server_exceptions=False)


def token_in(page: str) -> str:
    """The form token of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, page
    return found[1]


def a_user(user_id: str, username: str, role: str = "viewer", **fields: Any) -> dict[str, Any]:
    """A user as the API shows one."""
    moments = dict.fromkeys(("created_at", "updated_at", "password_changed_at", "last_sign_in_at"), MOMENT)
    return {"id": user_id, "username": username, "role": role, "disabled": False, **moments, **fields}


def a_session(session_id: str, **fields: Any) -> dict[str, Any]:
    """A session as the API shows one."""
    moments = dict.fromkeys(("created_at", "last_seen_at", "expires_at", "ends_at"), MOMENT)
    seen = {"device": "Firefox on Linux", "user_agent": "Firefox", "address": "192.0.2.7", "current": False}
    return {"id": session_id, **seen, **moments, **fields}


def an_entry(event: str, **fields: Any) -> dict[str, Any]:
    """An entry of the audit trail as the API shows one."""
    nobody = dict.fromkeys(("actor_id", "actor", "subject_id", "subject", "session_id"))
    seen = {"id": "0199cccc-0000-7000-8000-000000000001", "at": MOMENT, "address": "192.0.2.7", "request_id": "r-1"}
    return {"event": event, "details": {}, **nobody, **seen, **fields}


def a_page(*items: Any, next_cursor: str | None = None, total: int | None = None) -> dict[str, Any]:
    """A page of a list."""
    return {"items": list(items), "next_cursor": next_cursor, "total": len(items) if total is None else total}
