"""Verification of access tokens: whatever is changed in a valid one, it is valid no more."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.identify import Identifier
from servicekit.problems import BadRequest, Unauthorized
from servicekit.tokens import Claims, InvalidToken, StaticKeys, TokenVerifier, UnknownKey, read_jwks
from tests.support.signing import AUDIENCE, ISSUER, Signing

SIGNING = Signing()
VALID = SIGNING.token(sub="somebody", sid="session", username="ada")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def verify(token: str) -> Claims:
    """With an empty memory, so that each verdict is made anew."""
    return TokenVerifier(StaticKeys(SIGNING.jwks), issuer=ISSUER, audience=AUDIENCE).verify(token)


def is_refused(token: str) -> bool:
    try:
        verify(token)
    except InvalidToken:
        return True
    return False


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(claims: dict[str, Any]) -> str:
    """With the right key and header, whatever the claims."""
    text = f"{VALID.split('.')[0]}.{encoded(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(SIGNING.private_key.sign(text.encode())).rstrip(b'=').decode()}"


def test_a_valid_token_says_who_its_bearer_is() -> None:
    claims = verify(VALID)
    assert (claims.sub, claims.sid, claims.username, claims.role) == ("somebody", "session", "ada", "registrar")
    assert claims.scopes == {"students:read", "students:write"}


@given(st.integers(0, len(VALID) - 1), st.sampled_from(ALPHABET + ".=+/ "))
def test_no_other_character_anywhere_is_accepted(place: int, character: str) -> None:
    changed = VALID[:place] + character + VALID[place + 1 :]
    # The last character of an Ed25519 signature has two unused bits: other text, but the very same signature.
    assume([decoded_or_none(part) for part in changed.split(".")] != [decoded(part) for part in VALID.split(".")])
    assert is_refused(changed)


def decoded_or_none(part: str) -> bytes | None:
    try:
        return decoded(part)
    except ValueError:
        return None


@given(st.integers(0, len(VALID)), st.integers(0, len(VALID)))
def test_no_part_of_it_is_accepted(one: int, other: int) -> None:
    start, end = sorted((one, other))
    assume(start > 0 or end < len(VALID))
    assert is_refused(VALID[start:end])


@given(st.text(max_size=200) | st.text(ALPHABET + ".", max_size=300))
@example("..")
@example("é.é.é")
@example("\ud800.a.b")
@example("e30.e30.")
def test_no_text_is_accepted_and_none_breaks_the_verifier(text: str) -> None:
    assert is_refused(text)


@given(
    st.dictionaries(st.text(max_size=10) | st.sampled_from(["alg", "typ", "kid", "crit", "jwk", "b64"]), json_values)
)
def test_no_other_header_over_the_same_signature_is_accepted(header: dict[str, Any]) -> None:
    _, payload, signature = VALID.split(".")
    assert is_refused(f"{encoded(header)}.{payload}.{signature}")


@given(st.sampled_from(["sub", "sid", "scope", "role", "exp", "iss", "aud", "jti", "iat"]), json_values)
def test_no_other_payload_under_the_same_signature_is_accepted(name: str, value: Any) -> None:
    header, payload, signature = VALID.split(".")
    claims = json.loads(decoded(payload))
    assume(claims[name] != value)
    assert is_refused(f"{header}.{encoded(claims | {name: value})}.{signature}")


@given(st.sampled_from(["sub", "sid", "jti", "scope", "role", "iss", "aud", "exp", "iat", "username"]), json_values)
def test_a_claim_of_the_wrong_kind_is_refused_even_when_it_is_signed(name: str, value: Any) -> None:
    """Or is of the right kind: then the claims are what was signed, and nothing else is ever raised."""
    token = signed({**json.loads(decoded(VALID.split(".")[1])), name: value})
    try:
        claims = verify(token)
    except InvalidToken:
        return
    assert all(isinstance(text, str) for text in (claims.sub, claims.sid, claims.jti, claims.username, claims.role))
    assert claims.exp > time.time()


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "jti", "sid", "scope", "role"])
def test_a_claim_that_is_missing_is_missed(name: str) -> None:
    claims = json.loads(decoded(VALID.split(".")[1]))
    del claims[name]
    assert is_refused(signed(claims))


def test_another_keys_token_is_refused_and_named_when_its_id_is_unknown() -> None:
    assert is_refused(Signing(kid=SIGNING.kid).token())
    with pytest.raises(UnknownKey):
        verify(Signing(kid="another").token())


def test_a_verdict_is_remembered_no_longer_than_the_token_lives() -> None:
    verifier = SIGNING.verifier
    token = SIGNING.token(expires_in=-0.5)
    with pytest.raises(InvalidToken):
        verifier.verify(token)
    living = SIGNING.token(expires_in=1.1)
    exp = verifier.verify(living).exp
    identifier = Identifier(verifier)
    caller = asyncio.run(identifier.identify(b"Bearer " + living.encode()))
    assert caller.expires == exp
    deadline = time.monotonic() + 5
    while time.time() < exp:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert identifier.remembered(b"Bearer " + living.encode()) is None
    with pytest.raises(InvalidToken):
        verifier.verify(living)


def test_the_memory_of_verdicts_is_bounded() -> None:
    verifier = SIGNING.verifier
    identifier = Identifier(verifier, max_remembered=16)
    headers = [b"Bearer " + SIGNING.token().encode() for _ in range(50)]

    async def identify_all() -> None:
        for header in headers:
            await identifier.identify(header)

    asyncio.run(identify_all())
    remembered = [header for header in headers if identifier.remembered(header) is not None]
    assert 0 < len(remembered) <= 16
    assert identifier.remembered(headers[-1]) is not None


@given(st.binary(max_size=60))
def test_no_header_without_a_token_identifies_anybody(header: bytes) -> None:
    with pytest.raises((Unauthorized, BadRequest)):
        asyncio.run(Identifier(SIGNING.verifier).identify(header))


@given(json_values | st.fixed_dictionaries({"keys": json_values | st.lists(json_values, max_size=3)}))
def test_a_key_set_of_whatever_form_gives_no_keys_and_breaks_nothing(document: Any) -> None:
    assert read_jwks(document) == {}


def test_keys_of_other_kinds_private_ones_and_other_uses_are_passed_over() -> None:
    (good,) = SIGNING.jwks["keys"]
    others = [good | {"d": "secret"}, good | {"use": "enc"}, good | {"crv": "X25519"}, good | {"kty": "RSA"}]
    others += [good | {"kid": 7}, good | {"x": "short"}]
    assert read_jwks({"keys": others}) == {}
    assert list(read_jwks({"keys": [*others, good]})) == [SIGNING.kid]
