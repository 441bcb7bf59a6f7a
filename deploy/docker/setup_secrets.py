"""Makes the secrets of a compose installation once, each in the volume of the container that needs it.

Runs before everything else and changes nothing that exists, so every start may run it. A volume is mounted only where
its secrets are needed: of all containers only auth_service can read the key that signs.
"""

import os
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ROOT = Path("/secrets")
APP_UID = 10001  # the image's user
KEY_NAME_FORMAT = "%Y%m%dT%H%M%SZ"


def main() -> None:
    """Make what is missing."""
    os.umask(0o022)  # readable by whichever user a container has; the volumes keep them apart
    databases = {name: _secret("postgres", f"{name}_password") for name in ("auth", "student")}
    _secret("postgres", "superuser_password")
    valkey = _secret("valkey", "password")
    _once(ROOT / "valkey" / "valkey.conf", _valkey_conf(valkey))
    for service, redis_database in (("gateway", 0), ("auth", 0), ("admin", 1)):
        _once(ROOT / service / "redis_url", f"redis://:{valkey}@valkey:6379/{redis_database}")
    for service, password in databases.items():
        _once(ROOT / service / "database_url", f"postgresql://{service}:{password}@postgres:5432/{service}")
    proxy_token = _secret("gateway", "proxy_token")
    for service in ("auth", "student", "admin"):
        _once(ROOT / service / "proxy_token", proxy_token)
    _once(ROOT / "auth" / "admin_password", _admin_password())
    _secret("admin", "session_key")
    _signing_key(ROOT / "signing-keys")


def _admin_password() -> str:
    """`admin` for trying it out; in production a password of its own."""
    return "admin" if os.environ.get("APP_ENV") != "production" else secrets.token_urlsafe(18)


def _valkey_conf(password: str) -> str:
    lines = (
        f"requirepass {password}",
        "dir /data",
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory 192mb",
        "maxmemory-policy noeviction",
    )
    return "\n".join(lines) + "\n"


def _secret(volume: str, name: str) -> str:
    return _once(ROOT / volume / name, secrets.token_urlsafe(32))


def _once(path: Path, content: str) -> str:
    """The file's content, which is `content` if there was none; written whole before it gets its name."""
    if not path.exists():
        draft = path.with_name(f".{path.name}")
        draft.write_text(content)
        draft.replace(path)
        sys.stdout.write(f"made {path}\n")
    return path.read_text()


def _signing_key(folder: Path) -> None:
    """The first key; later ones are made by `python -m auth_service rotate-keys`, which needs to own the folder."""
    if not any(folder.glob("*.pem")):
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = folder / f"{datetime.now(UTC).strftime(KEY_NAME_FORMAT)}.pem"
        draft = folder / f".{path.name}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)
        os.chown(draft, APP_UID, APP_UID)
        draft.replace(path)
        sys.stdout.write(f"made {path}\n")
        os.chown(folder, APP_UID, APP_UID)


if __name__ == "__main__":
    main()
