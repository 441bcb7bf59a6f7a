"""Structured logs: one JSON object a line on stdout, from our code, uvicorn and every library alike."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from servicekit.console_line import make_printable
from servicekit.log_line import Event, encode_line, timestamp
from servicekit.log_sink import service_name, set_service_name, stdout_sink
from servicekit.request_context import current_request

REPOSITORY = Path(__file__).resolve().parent.parent
SENSITIVE = frozenset(
    {"password", "current_password", "new_password", "token", "access_token", "refresh_token", "authorization"}
    | {"cookie", "set-cookie", "secret", "client_secret", "email", "first_name", "last_name", "phone"}
)
MAX_FRAMES = 12


def describe_exception(error: BaseException) -> dict[str, Any]:
    """The type and the stack of an exception, without its message: messages quote what people typed."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    stack = [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    described: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}", "stack": stack}
    cause = error.__cause__ or error.__context__
    if cause is not None:
        described["cause"] = f"{type(cause).__module__}.{type(cause).__qualname__}"
    return described


def _short(path: str) -> str:
    return path.removeprefix(f"{REPOSITORY}/").rpartition("site-packages/")[2]


def _add_facts(_: Any, level: str, event: Event) -> Event:
    line: dict[str, Any] = {"timestamp": timestamp(), "level": level, "event": event.pop("event", "")}
    line["service"] = service_name()
    request = current_request.get()
    if request is not None:
        line["request_id"] = request.request_id
        line["trace_id"] = request.trace_id
    line.update(event)
    return line


def _hide_sensitive(_: Any, __: str, event: Event) -> Event:
    for key in event.keys() & SENSITIVE:
        event[key] = "[hidden]"
    return event


def _format_exception(_: Any, __: str, event: Event) -> Event:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()[1]
    elif isinstance(info, tuple):
        info = info[1]
    if isinstance(info, BaseException):
        event["exception"] = describe_exception(info)
    return event


def _render(_: Any, __: str, event: Event) -> bytes:
    return encode_line(event)


class _SinkLogger:
    """The last link of structlog's chain: hands the rendered line to the sink."""

    def _write(self, line: bytes | str) -> None:
        stdout_sink.write(line if isinstance(line, bytes) else (line + "\n").encode("utf-8", "replace"))

    debug = info = warning = error = critical = exception = log = msg = _write


class _StdlibHandler(logging.Handler):
    """Sends the standard library's records (uvicorn, alembic, warnings) down the same chain."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            level = record.levelname.lower()
            emit = getattr(
                get_logger(), level if level in ("debug", "info", "warning", "error", "critical") else "info"
            )
            emit(record.getMessage(), **event)
        except Exception:  # a log line must never break what it tells of
            self.handleError(record)


def _hook_uncaught(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    get_logger().critical("uncaught_exception", exc_info=error)


def configure_logging(service: str, level: str = "info", log_format: str | None = None) -> None:
    """Send everything that logs in this process to stdout in one form.

    Args:
        service: The value of the ``service`` field.
        level: ``debug``, ``info``, ``warning`` or ``error``.
        log_format: ``json`` or ``console``; None is ``console`` on a terminal, else ``json``.
    """
    set_service_name(service)
    number = getattr(logging, level.upper())
    rendering: list[Any] = [_render]
    if not writes_json(log_format):
        plain = structlog.dev.plain_traceback
        rendering = [make_printable, structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    structlog.configure(
        processors=[_format_exception, _hide_sensitive, _add_facts, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _SinkLogger(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_StdlibHandler()]
    root.setLevel(max(number, logging.INFO))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.WARNING if name == "alembic" else logging.NOTSET)
    access = logging.getLogger("uvicorn.access")  # each request has its own line already
    access.handlers, access.propagate, access.disabled = [], False, True
    for name in ("httpx2", "httpcore2", "python_multipart", "asyncio"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)
    sys.excepthook = _hook_uncaught


def writes_json(log_format: str | None) -> bool:
    """Whether LOG_FORMAT means JSON here; without it, a terminal gets the form for people."""
    return log_format == "json" or (log_format is None and not sys.stdout.isatty())


def get_logger() -> Any:
    """A structlog logger: ``log.info("student_created", student_id=...)``, a constant event and plain facts."""
    return structlog.get_logger()
