"""A token for a contender that can't verify ours: signed RS256 by the openssl command, with a key of the moment.

No service of this project would accept it; ours are EdDSA, and only auth_service signs them.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from pathlib import Path

from loadtests.compare.installing import Missing, find_program


def make_foreign_token(folder: Path) -> tuple[str, Path]:
    """A token and the file with the public key that verifies it.

    Raises:
        Missing: There is no openssl, or it can't do it.
    """
    openssl = str(find_program("openssl"))
    private, public = folder / "foreign.pem", folder / "foreign.pub.pem"
    now = int(time.time())
    header = {"alg": "RS256", "typ": "at+jwt", "kid": "foreign"}
    payload = {"iss": "matricula", "aud": "matricula-api", "sub": "0198c3a2-7d4e-7c31-9f00-000000000001"}
    payload |= {"exp": now + 86_400, "iat": now, "jti": "1", "sid": "0198c3a2-7d4e-7c31-9f00-000000000002"}  # type: ignore[dict-item]  # numbers, too
    payload |= {"scope": "students:read", "role": "viewer", "username": "admin"}
    signed = b".".join(_encode(json.dumps(part).encode()) for part in (header, payload))
    try:
        _call([openssl, "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private])
        _call([openssl, "pkey", "-in", private, "-pubout", "-out", public])
        signature = _call([openssl, "dgst", "-sha256", "-sign", private], signed)
    except subprocess.CalledProcessError as error:
        raise Missing(f"openssl: {error.stderr.decode(errors='replace').strip()[-200:]}") from None
    return (signed + b"." + _encode(signature)).decode(), public


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _call(command: list[str | Path], data: bytes = b"") -> bytes:
    return subprocess.run(  # noqa: S603 - the command is ours
        list(map(str, command)), input=data, capture_output=True, check=True
    ).stdout
