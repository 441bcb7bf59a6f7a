"""A running student_service for tests, and students to put into it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI

from servicekit.database import utc_now
from student_service.main import create_app
from student_service.settings import Settings
from tests.support.signing import Signing

_count = itertools.count(1)


def student_app(
    signing: Signing,
    state_dir: Path,
    url: str | None = None,
    clock: Callable[[], datetime] = utc_now,
    *,
    level: Literal["debug", "warning"] = "warning",
    time_zone: str = "UTC",
) -> FastAPI:
    """The application on a database of its own."""
    settings = Settings(state_dir=state_dir, student_database_url=url, log_level=level, time_zone=time_zone)
    return create_app(settings, verifier=signing.verifier, clock=clock)


def a_student(**fields: Any) -> dict[str, Any]:
    """A body that creates a student; each has another e-mail address."""
    number = next(_count)
    return {"first_name": "Ada", "last_name": "Lovelace", "email": f"ada{number}@example.org"} | fields
