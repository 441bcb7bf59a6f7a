"""What student_service reads from its environment."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from servicekit.settings import ServiceSettings


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)  # small images have no time zone database


def _known_zone(name: str) -> str:
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, a folder
        raise ValueError(f"{name!r} is no time zone that this machine knows, like Europe/Berlin") from None
    return name


class Settings(ServiceSettings):
    """The settings of every service, and where the records are."""

    port: int = Field(default=8001, ge=1, le=65535)
    student_database_url: str | None = Field(
        default=None, description="sqlite:////abs/path.db or postgresql://…; a file in the state folder when unset."
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC", description="Where the school is, as in Asia/Tokyo: it decides which day is today."
    )

    @model_validator(mode="after")
    def _check_database_url(self) -> Self:
        if self.student_database_url is None:
            return self
        try:
            url = make_url(self.student_database_url)
        except ArgumentError:  # its own message quotes the URL, which may hold a password
            raise ValueError("STUDENT_DATABASE_URL is not a database URL") from None
        if url.get_backend_name() not in ("sqlite", "postgresql", "postgres"):
            raise ValueError("STUDENT_DATABASE_URL must start with sqlite:// or postgresql://")
        in_memory = url.get_backend_name() == "sqlite" and (
            url.database in (None, "", ":memory:")
            or "mode=memory" in str(url.database)
            or url.query.get("mode") == "memory"
        )
        if in_memory and self.is_production:
            raise ValueError("STUDENT_DATABASE_URL: production needs a database that outlives the process")
        return self

    @property
    def zone(self) -> tzinfo:
        return _zone(self.time_zone)

    @property
    def database_url(self) -> str:
        return self.student_database_url or f"sqlite:///{(self.state_dir / 'students.db').resolve()}"
