"""The settings of auth_service, read once from the environment (names in upper case)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from limits import parse_many
from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from auth_service import passwords, usernames
from servicekit.settings import ServiceSettings, lower

DEFAULT_ADMIN = "admin"
DAY = 86_400


@dataclass(frozen=True)
class LoginRates:
    """Attempts allowed per client address and username, per username, and per client address."""

    login: str
    account: str
    address: str


class Settings(ServiceSettings):
    """What auth_service reads beyond what every service does."""

    port: int = Field(default=8002, ge=1, le=65535)
    auth_database_url: str | None = None
    refresh_token_ttl: int = Field(default=14 * DAY, ge=10, le=366 * DAY, description="Seconds an unused one lives.")
    refresh_grace: int = Field(default=10, ge=0, le=60, description="Seconds a spent refresh token may be repeated.")
    session_max_ttl: int = Field(default=90 * DAY, ge=10, le=3660 * DAY, description="Seconds until sign-in anew.")
    rate_limit_login: str = Field(default="10/minute", description="Per client address and username.")
    rate_limit_login_account: str | None = Field(default=None, description="Per username; 10 times the above.")
    rate_limit_login_address: str | None = Field(default=None, description="Per client address; 30 times the above.")
    rate_limit_on_outage: Annotated[Literal["local", "deny", "allow"], BeforeValidator(lower)] = "local"
    bootstrap_admin_username: str = DEFAULT_ADMIN
    bootstrap_admin_password: SecretStr = SecretStr(DEFAULT_ADMIN)
    signing_keys: SecretStr | None = Field(default=None, description="Ed25519 PEM blocks; the first one signs.")
    signing_keys_dir: Path | None = Field(default=None, description="A directory of Ed25519 PEM files (keys.py).")
    signing_key_lead: int = Field(default=600, ge=0, le=DAY, description="Seconds a new key is published before use.")
    password_queue: int = Field(default=64, ge=1, le=1000, description="Sign-ins that may wait for the hash pool.")
    audit_retention_days: int = Field(default=400, ge=1, le=36_500)

    @property
    def database_url(self) -> str:
        """The database, by default a SQLite file in the state directory."""
        return self.auth_database_url or f"sqlite:///{self.state_dir.resolve() / 'auth.db'}"

    @property
    def keys_folder(self) -> Path:
        """Where key files are looked for when no keys are given by value."""
        return self.signing_keys_dir or self.state_dir / "keys"

    @property
    def login_rates(self) -> LoginRates:
        """The three guards on signing in, in the notation of ``limits``."""
        login = self.rate_limit_login
        return LoginRates(
            login=login,
            account=self.rate_limit_login_account or _times(login, 10),
            # a whole school may sit behind one address
            address=self.rate_limit_login_address or _times(login, 30),
        )

    @field_validator("rate_limit_login", "rate_limit_login_account", "rate_limit_login_address")
    @classmethod
    def _is_limit(cls, value: str | None) -> str | None:
        if value is not None:
            items = parse_many(value)  # raises ValueError
            if any(item.amount < 1 for item in items):
                raise ValueError("a limit allows at least one request")
        return value

    @field_validator("auth_database_url")
    @classmethod
    def _is_database(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            backend = make_url(value).get_backend_name()
        except ArgumentError:
            raise ValueError("not a database URL") from None  # without the value: it may hold a password
        if backend not in ("sqlite", "postgresql", "postgres"):
            raise ValueError("only sqlite:// and postgresql:// are supported")
        return value

    @field_validator("bootstrap_admin_username")
    @classmethod
    def _is_username(cls, value: str) -> str:
        if not usernames.is_valid(value):
            raise ValueError(f"a username is {usernames.RULE}")
        return value

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        password = self.bootstrap_admin_password.get_secret_value()
        if password != DEFAULT_ADMIN and (why := passwords.objection(password, self.bootstrap_admin_username)):
            raise ValueError(f"BOOTSTRAP_ADMIN_PASSWORD: {why}")
        if self.is_production:
            if password == DEFAULT_ADMIN:
                raise ValueError("BOOTSTRAP_ADMIN_PASSWORD must be set in production, to a password of your own")
            if self.signing_keys is None and self.signing_keys_dir is None:
                raise ValueError("SIGNING_KEYS or SIGNING_KEYS_DIR must be set in production: keys are given, not made")
            if self.auth_database_url is None:
                raise ValueError("AUTH_DATABASE_URL must be set in production")
            if _is_in_memory(self.auth_database_url):
                raise ValueError("AUTH_DATABASE_URL must not be a database in memory in production")
            if self.redis_url is None:
                raise ValueError("REDIS_URL must be set in production")
        return self


def _is_in_memory(url: str) -> bool:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return False
    database = parsed.database or ""
    return database in ("", ":memory:") or "mode=memory" in url or database.startswith("file::memory:")


def _times(limit: str, factor: int) -> str:
    return ";".join(f"{i.amount * factor}/{i.multiples} {i.GRANULARITY.name}" for i in parse_many(limit))
