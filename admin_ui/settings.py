"""What admin_ui reads from its environment."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator

from servicekit.settings import ServiceSettings, Url, secret_from_state

SHORTEST_KEY = 32  # characters


class Settings(ServiceSettings):
    """The settings of every service, the gateway's address, and how long a person stays signed in."""

    port: int = Field(default=8003, ge=1, le=65535)
    gateway_url: Url = "http://127.0.0.1:8000"
    gateway_timeout: float = Field(default=20.0, gt=0, le=300, description="Seconds to wait for an answer.")
    session_key: SecretStr | None = Field(
        default=None,
        description="Encrypts tokens in Redis. Several, separated by commas: the first seals, all of them open.",
    )
    admin_ui_session_idle_ttl: int = Field(default=7_200, ge=60, le=86_400, description="Seconds without a request.")
    admin_ui_session_max_ttl: int = Field(default=43_200, ge=300, le=604_800, description="Seconds since signing in.")
    cookie_secure: bool | None = Field(default=None, description="By default: in production.")

    @model_validator(mode="after")
    def _check_session_key(self) -> Self:
        if self.session_key is None:
            if self.is_production:
                raise ValueError("SESSION_KEY must be set when APP_ENV=production")
        elif any(len(key) < SHORTEST_KEY for key in self._given_keys()):
            raise ValueError(f"SESSION_KEY needs at least {SHORTEST_KEY} characters (for each key)")
        return self

    def _given_keys(self) -> tuple[str, ...]:
        given = self.session_key.get_secret_value() if self.session_key else ""
        return tuple(key.strip() for key in given.split(","))

    def session_keys(self) -> tuple[str, ...]:
        """The keys, the sealing one first; made and kept in the state folder in development."""
        if self.session_key is not None:
            return self._given_keys()
        return (secret_from_state(self, "session_key"),)

    @property
    def cookies_are_secure(self) -> bool:
        return self.is_production if self.cookie_secure is None else self.cookie_secure
