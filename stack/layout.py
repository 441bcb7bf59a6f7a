"""What runs where: the four processes with their ports, order and environment. Pure: values in, values out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
HIGHEST_PORT = 65535

# Started in this order, those of one row side by side, and stopped in the reverse. Each row waits for the one before:
# the services fetch auth_service's keys, the gateway's readiness asks the services, and admin_ui's asks the gateway,
# so admin_ui counts as started when it is alive.
_ROWS: tuple[tuple[tuple[str, int, str], ...], ...] = (
    (("auth_service", 8002, "/readyz"),),
    (("student_service", 8001, "/readyz"), ("admin_ui", 8003, "/healthz")),
    (("gateway", 8000, "/readyz"),),
)
_URL_VARIABLES = {
    "AUTH_SERVICE_URL": "auth_service",
    "STUDENT_SERVICE_URL": "student_service",
    "ADMIN_UI_URL": "admin_ui",
    "GATEWAY_URL": "gateway",
}
OVERRIDDEN = ("PORT", *_URL_VARIABLES)
"""Variables that the layout decides, whatever the environment says."""


@dataclass(frozen=True)
class Service:
    """One process: how to start it and how to see that it has started."""

    name: str
    command: tuple[str, ...]
    host: str
    port: int
    ready_path: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """All that is to run; `rows` are started in order."""

    rows: tuple[tuple[Service, ...], ...]
    state_dir: Path
    bind_host: str
    redis_url: str | None
    """None: the embedded Valkey is started."""
    sign_in: str

    @property
    def services(self) -> tuple[Service, ...]:
        """Every service, in starting order."""
        return tuple(service for row in self.rows for service in row)

    def url(self, name: str) -> str:
        """Where the service of this name answers."""
        return next(_url(service.host, service.port) for service in self.services if service.name == name)


def plan(environ: Mapping[str, str], port_offset: int) -> Layout:
    """The layout for these environment variables, every port moved up by `port_offset`."""
    bind_host = environ.get("HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind_host, bind_host)  # noqa: S104 - read, not bound
    state_dir = Path(environ.get("VAR_DIR") or REPOSITORY / "var").resolve()
    ports = {name: port + port_offset for row in _ROWS for name, port, _ in row}
    shared = {
        "VAR_DIR": str(state_dir),
        "LOG_FORMAT": "json",
        # No balancer in front that would have to notice first; Ctrl-C shouldn't take seconds.
        "DRAIN_SECONDS": environ.get("DRAIN_SECONDS") or "0",
        **{variable: _url(host, ports[name]) for variable, name in _URL_VARIABLES.items()},
    }

    def service(name: str, ready_path: str) -> Service:
        workers = environ.get("WORKERS") if name == "gateway" else None
        own = {"PORT": str(ports[name]), "HOST": bind_host, "WORKERS": workers or "1"}
        return Service(name, (sys.executable, "-m", name), host, ports[name], ready_path, {**shared, **own})

    return Layout(
        rows=tuple(tuple(service(name, path) for name, _, path in row) for row in _ROWS),
        state_dir=state_dir,
        bind_host=bind_host,
        redis_url=environ.get("REDIS_URL") or None,
        sign_in=_sign_in(environ),
    )


def highest_port_offset() -> int:
    """The largest offset that leaves every port a valid one."""
    return HIGHEST_PORT - max(port for row in _ROWS for _, port, _ in row)


def _sign_in(environ: Mapping[str, str]) -> str:
    username = environ.get("BOOTSTRAP_ADMIN_USERNAME") or "admin"
    if environ.get("BOOTSTRAP_ADMIN_PASSWORD"):
        return f"{username} / the password in BOOTSTRAP_ADMIN_PASSWORD (unless changed since the first start)"
    if environ.get("APP_ENV", "").strip().lower() == "production":
        return username
    return f"{username} / admin (unless changed since the first start)"


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
