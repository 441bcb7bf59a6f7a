"""The tuned way to serve an app: ``python -m NAME``."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from typing import Any

import uvicorn

from servicekit.draining import GracefulServer
from servicekit.logs import configure_logging, get_logger
from servicekit.protocol import ServiceProtocol
from servicekit.settings import ServiceSettings
from servicekit.workers import Workers

BACKLOG = 4096


def run(
    app: str, settings: ServiceSettings, *, service: str, reloads_on_hangup: bool = False, **overrides: Any
) -> None:
    """Serve ``module:attribute`` until SIGTERM or SIGINT, with WORKERS processes on one socket.

    Args:
        app: ``module:attribute``.
        settings: Of the service.
        service: Its name in the logs.
        reloads_on_hangup: The app does something useful on SIGHUP, so that every worker is to get it.
        overrides: Options of uvicorn.Config.

    Raises:
        SystemExit: The port can't be had (1), or the app could not start (3).
    """
    configure_logging(service, settings.log_level, settings.log_format)
    listener = bind(settings.host, settings.port, service)
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "loop": "uvloop",
        "http": ServiceProtocol,
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "backlog": BACKLOG,
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": settings.shutdown_seconds,
        "workers": settings.workers,
    }
    config = uvicorn.Config(app, **(options | overrides))
    metrics_dir = _prepare_metrics() if settings.workers > 1 else None
    try:
        if settings.workers > 1:
            workers = Workers(
                config, [listener], drain_seconds=settings.drain_seconds, reloads_on_hangup=reloads_on_hangup
            )
            workers.run()
            if workers.have_failed:
                raise SystemExit(3)
            return
        server = GracefulServer(config, settings.drain_seconds)
        server.run(sockets=[listener])
        if not server.started:
            raise SystemExit(3)
    except KeyboardInterrupt:
        get_logger().info("stopped_by_keyboard")
    finally:
        if metrics_dir is not None:
            shutil.rmtree(metrics_dir, ignore_errors=True)


def bind(host: str, port: int, service: str) -> socket.socket:
    """Take the port before anything else is done, or say in one line what is in the way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.stderr.write(
            f"{service}: can't listen on {host}:{port} ({error.strerror}). "
            "Stop what uses it, or set PORT to another one.\n"
        )
        raise SystemExit(1) from None
    listener.set_inheritable(True)
    return listener


def _prepare_metrics() -> str:
    """An empty folder that the workers share their counters in; prometheus-client reads it at import."""
    folder = tempfile.mkdtemp(prefix="matricula-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return folder
