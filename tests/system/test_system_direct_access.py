"""Around the gateway: a service's own port wants a valid token as well, and forged ones open nothing anywhere."""

from __future__ import annotations

import base64
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.answers import check_answer
from tests.support.gateway_api import People, ask_all, many_connections, request
from tests.support.whole_system import WholeSystem

pytestmark = [pytest.mark.system, pytest.mark.timeout(120), pytest.mark.xdist_group("whole-system")]

WHERE = ["gateway", "student_service", "auth_service"]
Claims = dict[str, Any]


def encoded(part: Claims | bytes) -> bytes:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Forger:
    """Knows a valid token, the public keys and, for tokens that only differ in one claim, the real private key."""

    def __init__(self, system: WholeSystem, valid: str) -> None:
        self.valid = valid
        self.header = jwt.get_unverified_header(valid)
        self.claims: Claims = jwt.decode(valid, options={"verify_signature": False})
        self.public: Claims = httpx2.get(f"{system.auth.url}/.well-known/jwks.json", trust_env=False).json()["keys"][0]
        (pem,) = (system.folder / "var" / "keys").glob("*.pem")
        private = load_pem_private_key(pem.read_bytes(), password=None)
        assert isinstance(private, Ed25519PrivateKey)
        self.private = private

    def signed(self, changed: Claims | None = None, *, header: Claims | None = None, without: str = "") -> str:
        """As auth_service would sign it, with some of it changed."""
        claims = {name: value for name, value in {**self.claims, **(changed or {})}.items() if name != without}
        signed = b".".join(map(encoded, ({"alg": "EdDSA", **self._names(), **(header or {})}, claims)))
        return (signed + b"." + encoded(self.private.sign(signed))).decode()

    def with_payload(self, **changed: Any) -> str:
        """The real signature under other claims."""
        header, _, signature = self.valid.split(".")
        return f"{header}.{encoded({**self.claims, **changed}).decode()}.{signature}"

    def hmac_with(self, secret: bytes) -> str:
        signed = b".".join(map(encoded, ({"alg": "HS256", **self._names()}, self.claims)))
        return (signed + b"." + encoded(hmac.digest(secret, signed, "sha256"))).decode()

    def unsigned(self, alg: str) -> str:
        return f"{encoded({'alg': alg, **self._names()}).decode()}.{self.valid.split('.')[1]}."

    def by_another(self, **header: Any) -> str:
        return jwt.encode(
            self.claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={**self._names(), **header}
        )

    def by_rsa(self) -> str:
        key = generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(self.claims, key, algorithm="RS256", headers=self._names())

    def _names(self) -> dict[str, Any]:
        return {"typ": "at+jwt", "kid": self.header["kid"]}


def forgeries(forger: Forger) -> Iterator[tuple[str, str]]:
    now = int(time.time())
    header, payload, signature = forger.valid.split(".")
    raw_key = base64.urlsafe_b64decode(forger.public["x"] + "==")
    yield "another signature", f"{header}.{payload}.{signature[:-6]}AAAAAA"
    yield "no signature", f"{header}.{payload}."
    yield "two parts", f"{header}.{payload}"
    yield "another role", forger.with_payload(role="admin", scope="users:manage")
    yield "another subject", forger.with_payload(sub=str(uuid.uuid4()))
    for alg in ("none", "None", "NONE", "EdDSA", ""):
        yield f"unsigned, alg {alg!r}", forger.unsigned(alg)
    yield "HS256 with the public key's bytes", forger.hmac_with(raw_key)
    yield "HS256 with the public key's text", forger.hmac_with(forger.public["x"].encode())
    yield "HS256 with the public key as JSON", forger.hmac_with(json.dumps(forger.public).encode())
    yield "HS256 with nothing", forger.hmac_with(b"")
    yield "RS256", forger.by_rsa()
    yield "another key under the known id", forger.by_another()
    yield "another key under its own id", forger.by_another(kid="mine")
    yield "another key that it brings along", forger.by_another(jwk=forger.public, jku="http://127.0.0.1:1/keys")
    yield "no key id", forger.signed(header={"kid": None})
    yield "a key id that is a path", forger.signed(header={"kid": "../../../dev/null"})
    yield "a critical extension", forger.signed(header={"crit": ["exp"], "exp": 1})
    yield "another kind of token", forger.signed(header={"typ": "JWT"})
    yield "another issuer", forger.signed({"iss": "somebody"})
    yield "another audience", forger.signed({"aud": "another-api"})
    yield "an audience that only begins alike", forger.signed({"aud": forger.claims["aud"] + "x"})
    yield "expired", forger.signed({"iat": now - 1000, "exp": now - 1})
    yield "not valid yet", forger.signed({"nbf": now + 1000})
    yield "issued in the future", forger.signed({"iat": now + 1000, "exp": now + 2000})
    yield "an expiry that is no number", forger.signed({"exp": "never"})
    for name in ("iss", "aud", "sub", "exp", "iat", "jti", "sid", "scope", "role"):
        yield f"without {name}", forger.signed(without=name)
    yield "a session that is no text", forger.signed({"sid": ["x"]})
    yield "scopes that are a list", forger.signed({"scope": ["students:read"]})
    yield "very long", forger.signed({"padding": "x" * 5000})
    yield "not ASCII", forger.valid[:-1] + "é"


@pytest.fixture(scope="module")
def forger(whole_system: WholeSystem, people: People) -> Forger:
    return Forger(whole_system, people.new("registrar").access_token)


def protected(system: WholeSystem, where: str) -> str:
    return {
        "gateway": f"{system.gateway.url}/students/",
        "student_service": f"{system.students.url}/students/",
        "auth_service": f"{system.auth.url}/auth/me",
    }[where]


@pytest.mark.parametrize("where", WHERE)
def test_a_callers_token_works_and_none_does_not(whole_system: WholeSystem, forger: Forger, where: str) -> None:
    url = protected(whole_system, where)
    with httpx2.Client(timeout=20, trust_env=False, event_hooks={"response": [check_answer], "request": []}) as client:
        assert client.get(url).status_code == 401
        for scheme in ("Bearer", "bearer", "BEARER"):
            assert client.get(url, headers={"Authorization": f"{scheme} {forger.valid}"}).status_code == 200
        assert client.get(url, headers={"Authorization": f"Bearer {forger.signed()}"}).status_code == 200, "the control"
        for scheme in ("", "Token ", "Bearer,", "Basic "):
            assert client.get(url, headers={"Authorization": f"{scheme}{forger.valid}"}).status_code == 401
        for header in ("Bearer", "Bearer x", "bearer"):
            assert client.get(url, headers={"Authorization": header}).status_code == 401
        assert client.get(url, params={"access_token": forger.valid}).status_code == 401
        assert client.get(url, headers={"Cookie": f"access_token={forger.valid}"}).status_code == 401


@pytest.mark.parametrize("where", WHERE)
def test_no_forged_token_is_accepted(whole_system: WholeSystem, forger: Forger, where: str) -> None:
    url = protected(whole_system, where)
    accepted = {}
    with httpx2.Client(timeout=20, trust_env=False, event_hooks={"response": [check_answer], "request": []}) as client:
        for name, token in forgeries(forger):
            answer = client.get(url, headers=[(b"Authorization", b"Bearer " + token.encode("latin-1"))])
            if answer.status_code != 401:
                accepted[name] = answer.status_code
    assert not accepted


@pytest.mark.parametrize("where", WHERE)
def test_two_authorization_headers_are_refused_whichever_comes_first(
    whole_system: WholeSystem, forger: Forger, where: str
) -> None:
    url = httpx2.URL(protected(whole_system, where))
    good, bad = f"Authorization: Bearer {forger.valid}", "Authorization: Bearer a.b.c"
    for lines in ((good, bad), (bad, good), (good, good)):
        with many_connections(str(url), 1) as connections:
            (answer,) = ask_all(connections, request(url.path, *lines))
        assert answer.status == 400


def test_identity_headers_and_proxy_headers_replace_no_token(whole_system: WholeSystem) -> None:
    claimed = {"X-User": "admin", "X-Forwarded-User": "admin", "X-Proxy-Token": "guess", "X-Scopes": "students:read"}
    for where in WHERE:
        answer = httpx2.get(protected(whole_system, where), headers=claimed, timeout=20, trust_env=False)
        assert answer.status_code == 401


def test_scopes_hold_at_the_services_own_port(whole_system: WholeSystem, people: People) -> None:
    viewer = {"Authorization": f"Bearer {people.new('viewer').access_token}"}
    with httpx2.Client(timeout=20, trust_env=False, headers=viewer) as client:
        assert client.post(f"{whole_system.students.url}/students/", json={}).status_code == 403
        assert client.get(f"{whole_system.auth.url}/auth/users/").status_code == 403
        assert client.get(f"{whole_system.auth.url}/metrics").status_code == 403
