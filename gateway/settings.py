"""The gateway's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.compiled import Mode
from gateway.rate_policy import RatePolicy, parse_rate
from servicekit.settings import ServiceSettings, Urls, lower


def _rate(text: str) -> str:
    parse_rate("check", text)
    return text


def _readable(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


Rate = Annotated[str, AfterValidator(_rate)]


class Settings(ServiceSettings):
    """What the gateway reads from the environment."""

    port: int = Field(default=8000, ge=1, le=65535)
    student_service_url: Urls = ("http://127.0.0.1:8001",)
    admin_ui_url: Urls = ("http://127.0.0.1:8003",)
    rate_limit_anonymous: Rate = "120/minute"
    rate_limit_user: Rate = "1200/minute"
    denylist_on_outage: Annotated[Literal["deny", "allow"], BeforeValidator(lower)] = "deny"
    rate_limit_on_outage: Annotated[Literal["local", "deny", "allow"], BeforeValidator(lower)] = "local"
    busy_poll_microseconds: int = Field(default=0, ge=0, le=1000)
    compiled: Annotated[Mode, BeforeValidator(lower)] = "auto"  # obeyed in gateway.serve, before this can be read
    routes_file: Annotated[Path, AfterValidator(_readable)] = Path(__file__).parent / "routes.toml"

    def upstream_urls(self) -> dict[str, tuple[str, ...]]:
        """The replicas of each upstream that ``routes.toml`` may name."""
        return {
            "auth_service": self.auth_service_url,
            "student_service": self.student_service_url,
            "admin_ui": self.admin_ui_url,
        }

    def rate_policies(self) -> dict[str, RatePolicy]:
        """The limits that come from the environment, by the name that ``routes.toml`` uses."""
        return {
            "anonymous": parse_rate("anonymous", self.rate_limit_anonymous),
            "user": parse_rate("user", self.rate_limit_user),
        }
