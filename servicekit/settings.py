"""Settings from the environment: one frozen object per process, read once, failing loudly at start."""

from __future__ import annotations

import os
import secrets
import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

REPOSITORY = Path(__file__).resolve().parent.parent
REDIS_SCHEMES = ("redis", "rediss", "unix", "valkey", "valkeys")


def split_commas(value: Any) -> Any:
    """Turn ``"a, b"`` into ``("a", "b")``; anything that isn't a string passes through."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an http:// or https:// URL")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("an upstream URL has no user, query or fragment")
    _ = parts.port  # raises ValueError on a port that is none
    return url.rstrip("/")


def _http_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    if not urls:
        raise ValueError("at least one URL is needed")
    return tuple(_http_url(url) for url in urls)


def _redis_url(url: str | None) -> str | None:
    if url is not None and urlsplit(url).scheme not in REDIS_SCHEMES:
        raise ValueError(f"a Redis URL starts with one of {', '.join(s + '://' for s in REDIS_SCHEMES)}")
    return url


def _networks(value: Any) -> Any:
    value = split_commas(value)
    if isinstance(value, tuple | list):
        return tuple(ip_network(item, strict=False) if isinstance(item, str) else item for item in value)
    return value


def _state_dir(path: Path) -> Path:
    """It may be made only later, but then in a folder."""
    there = next((each for each in (path.absolute(), *path.absolute().parents) if os.path.lexists(each)), path)
    if not there.is_dir():
        raise ValueError(f"{there} is not a folder")
    return path


Url = Annotated[str, AfterValidator(_http_url)]
Urls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas), AfterValidator(_http_urls)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]


def lower(value: Any) -> Any:
    """Whatever the case of a word that is one of a few."""
    return value.strip().lower() if isinstance(value, str) else value


class ServiceSettings(BaseSettings):
    """What every process reads; a service subclasses it and adds its own.

    The environment variable of a field is its name in upper case; an empty variable counts as unset.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore", case_sensitive=False)

    app_env: Annotated[Literal["development", "production"], BeforeValidator(lower)] = "development"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    redis_url: Annotated[str | None, AfterValidator(_redis_url)] = None
    auth_service_url: Urls = ("http://127.0.0.1:8002",)
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = "info"
    log_format: Annotated[Literal["json", "console"] | None, BeforeValidator(lower)] = None
    metrics_token: SecretStr | None = None
    token_issuer: str = "matricula"  # noqa: S105 - a name, not a secret
    token_audience: str = "matricula-api"  # noqa: S105 - as above
    access_token_ttl: int = Field(default=900, ge=10, le=86_400, description="Seconds an access token lives.")
    max_body_bytes: int = Field(default=10 * 1024 * 1024, ge=1024)
    drain_seconds: float = Field(default=1.0, ge=0, le=300, description="Between SIGTERM and the listener's end.")
    shutdown_seconds: int = Field(default=20, ge=1, le=3600, description="From then on, for what is under way.")
    trusted_proxies: Networks = ()
    proxy_token: SecretStr | None = None
    state_dir: Annotated[Path, AfterValidator(_state_dir)] = Field(
        default=REPOSITORY / "var", validation_alias=AliasChoices("state_dir", "VAR_DIR")
    )

    @property
    def is_production(self) -> bool:
        return self.app_env == "production"


S = TypeVar("S", bound=ServiceSettings)


def load_settings(cls: type[S]) -> S:
    """Read ``cls`` from the environment, or print one line per bad variable and exit with status 2."""
    try:
        settings = cls()
    except ValidationError as error:
        for entry in error.errors(include_url=False, include_input=False):
            name = str(entry["loc"][0]).upper() if entry["loc"] else ""
            name = "VAR_DIR" if name == "STATE_DIR" else name  # what people call it
            reason = entry["msg"].removeprefix("Value error, ")
            # A check over several variables names them in its own message.
            _complain(f"{name + ': ' if name else ''}{reason}")
        raise SystemExit(2) from None
    # The proxy token is the first thing kept there. In production, or when it is given, the folder may not be needed.
    if not settings.is_production and settings.proxy_token is None and (why := _why_unusable(settings.state_dir)):
        _complain(f"VAR_DIR: {settings.state_dir}: {why}")
        raise SystemExit(2)
    return settings


def _why_unusable(folder: Path) -> str | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror
    return None if os.access(folder, os.W_OK | os.X_OK) else "nothing can be written there"


def _complain(text: str) -> None:
    sys.stderr.write(f"configuration error: {text}\n")


def secret_from_state(settings: ServiceSettings, name: str) -> str:
    """Return the development secret ``var/secrets/NAME``, made on first use and shared by all processes.

    Raises:
        RuntimeError: In production, where secrets are given and never made.
    """
    if settings.is_production:
        raise RuntimeError(f"{name} must be given in production")
    folder = settings.state_dir / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        if not path.exists():
            # Written in full before it is linked into place: a reader never sees half a secret,
            # and of several starters exactly one wins.
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
    finally:
        draft.unlink(missing_ok=True)
    return path.read_text().strip()


def resolve_proxy_token(settings: ServiceSettings) -> str | None:
    """The secret by which our own processes know each other's forwarded addresses; None when there is none."""
    if settings.proxy_token is not None:
        return settings.proxy_token.get_secret_value()
    return None if settings.is_production else secret_from_state(settings, "proxy_token")
