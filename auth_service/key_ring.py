"""The keys of this process: read from files or the environment, and read again while running."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from auth_service.keys import NAME_FORMAT, BadKey, SigningKey, new_pem, parse_bundle, parse_pem, published, signer
from auth_service.settings import Settings

DEVELOPMENT_NOTE = "Made for development; production refuses it."
LOOK_AGAIN_SECONDS = 2.0


class KeyRing:
    """Signs with the current key and publishes the rest; notices new files within ``LOOK_AGAIN_SECONDS``.

    When the folder can't be read later on, the keys that are known stay in use.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.keys_folder
        self._token_life = timedelta(seconds=settings.access_token_ttl)
        self._lock = threading.Lock()
        self._seen: frozenset[tuple[str, int]] = frozenset()
        self._look_at = time.monotonic() + LOOK_AGAIN_SECONDS
        self._fixed = settings.signing_keys is not None
        self._production = settings.is_production
        self.when_a_key_is_gone: list[Callable[[], None]] = []  # what remembers verdicts must forget them
        if settings.signing_keys is not None:
            self._keys = parse_bundle(settings.signing_keys.get_secret_value(), "SIGNING_KEYS")
        else:
            if not self._production:
                make_first_key(self._folder)
            self._seen = _listing(self._folder)
            self._keys = read_folder(self._folder, production=self._production)

    def signer(self) -> SigningKey:
        """The key to sign with, now."""
        return signer(self._current(), datetime.now(UTC))

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The JSON Web Key Set that verifiers read (RFC 7517 §5)."""
        return {"keys": [key.jwk for key in published(self._current(), datetime.now(UTC), self._token_life)]}

    def get(self, kid: str) -> Ed25519PublicKey | None:
        """This service's own verifier asks here (servicekit.tokens.KeySource)."""
        now = datetime.now(UTC)
        for key in published(self._current(), now, self._token_life):
            if key.kid == kid:
                return key.private.public_key()
        return None

    async def refresh(self) -> bool:
        """Look at the files again before the next use; they are small and local, so there is no limit to it."""
        self._look_at = 0.0
        return not self._fixed

    def _current(self) -> list[SigningKey]:
        if self._fixed or time.monotonic() < self._look_at or not self._lock.acquire(blocking=False):
            return self._keys
        try:
            self._look_at = time.monotonic() + LOOK_AGAIN_SECONDS
            listing = _listing(self._folder)
            if listing and listing != self._seen:
                before, self._keys = self._keys, read_folder(self._folder, production=self._production)
                self._seen = listing
                if {key.kid for key in before} - {key.kid for key in self._keys}:
                    for forget in self.when_a_key_is_gone:
                        forget()
        except (BadKey, OSError):  # a half-copied file: keep what works, and look again
            self._seen = frozenset()
        finally:
            self._lock.release()
        return self._keys


def _listing(folder: Path) -> frozenset[tuple[str, int]]:
    return frozenset((path.name, path.stat().st_mtime_ns) for path in folder.glob("*.pem"))


def read_folder(folder: Path, *, production: bool) -> list[SigningKey]:
    """All keys of a folder.

    Raises:
        BadKey: There is none, or a file is no key, or a name is no moment, or production finds a development key.
    """
    keys = []
    for path in sorted(folder.glob("*.pem")):
        text = path.read_bytes()
        if production and text.startswith(DEVELOPMENT_NOTE.encode()):
            raise BadKey(f"SIGNING_KEYS_DIR: {path.name} was made for development and must not sign in production")
        keys.append(parse_pem(text, _moment_of(path), f"SIGNING_KEYS_DIR: {path.name}"))
    if not keys:
        raise BadKey("SIGNING_KEYS_DIR: the folder holds no *.pem file; `python -m auth_service rotate-keys` makes one")
    return keys


def _moment_of(path: Path) -> datetime:
    try:
        return datetime.strptime(path.stem, NAME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise BadKey(f"SIGNING_KEYS_DIR: {path.name} is not named by a moment such as 20260131T120000Z.pem") from None


def make_first_key(folder: Path) -> None:
    """Make a development key if there is none; of several starters exactly one key results."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.glob("*.pem")):
        return
    # A fixed name, so that everybody who starts at once competes for the same file.
    _write_key(folder / "20200101T000000Z.pem", new_pem(DEVELOPMENT_NOTE))


def _write_key(path: Path, pem: bytes) -> bool:
    """Put a whole file in place, readable by its owner only; False when another was there first."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
        return True
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)


def rotate(settings: Settings, lead: timedelta, now: datetime) -> tuple[SigningKey, list[str]]:
    """Add a key that signs after ``lead``, and delete files of keys that nobody needs any more.

    Returns:
        The new key and the names of the deleted files.

    Raises:
        BadKey: The keys are given by value, or the folder can't be used.
    """
    if settings.signing_keys is not None:
        raise BadKey("SIGNING_KEYS gives the keys by value: rotate where that value is kept (see keys.py)")
    folder = settings.keys_folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    first = not any(folder.glob("*.pem"))
    moment = now.replace(microsecond=0) if first else (now + lead).replace(microsecond=0)
    note = "" if settings.is_production else DEVELOPMENT_NOTE
    while not _write_key(path := folder / f"{moment.strftime(NAME_FORMAT)}.pem", new_pem(note)):
        moment += timedelta(seconds=1)
    keys = read_folder(folder, production=settings.is_production)
    needed = {key.signs_from for key in published(keys, now, timedelta(seconds=settings.access_token_ttl))}
    retired = [old for old in sorted(folder.glob("*.pem")) if _moment_of(old) not in needed]
    for old in retired:
        old.unlink(missing_ok=True)
    made = next(key for key in keys if key.signs_from == _moment_of(path))
    return made, [old.name for old in retired]
