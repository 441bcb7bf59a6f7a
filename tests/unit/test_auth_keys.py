from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from auth_service.key_ring import KeyRing, rotate
from auth_service.keys import BadKey, SigningKey, new_pem, parse_bundle, parse_pem, published, signer
from auth_service.settings import Settings
from servicekit.tokens import read_jwks

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = timedelta(seconds=900)
PRIVATE = ed25519.Ed25519PrivateKey.generate()
offsets = st.integers(min_value=-100_000, max_value=100_000)


def keys_at(seconds: list[int]) -> list[SigningKey]:
    return [SigningKey(EPOCH + timedelta(seconds=s), PRIVATE, kid=f"k{s}") for s in seconds]


@given(st.lists(offsets, min_size=1, max_size=6, unique=True), offsets)
def test_the_signing_key_is_always_published(starts: list[int], at: int) -> None:
    keys, now = keys_at(starts), EPOCH + timedelta(seconds=at)
    assert signer(keys, now) in published(keys, now, LIFE)


@given(st.lists(offsets, min_size=1, max_size=6, unique=True), offsets, st.integers(min_value=0, max_value=900))
def test_a_key_stays_published_as_long_as_a_token_it_signed_lives(starts: list[int], at: int, later: int) -> None:
    keys, signed_at = keys_at(starts), EPOCH + timedelta(seconds=at)
    used = signer(keys, signed_at)
    assert used in published(keys, signed_at + timedelta(seconds=later), LIFE)


@given(st.lists(offsets, min_size=1, max_size=6, unique=True), offsets, st.integers(min_value=0, max_value=900))
def test_a_key_is_published_before_it_signs(starts: list[int], at: int, before: int) -> None:
    keys, signed_at = keys_at(starts), EPOCH + timedelta(seconds=at)
    used = signer(keys, signed_at)
    assert used in published(keys, signed_at - timedelta(seconds=before), LIFE)


def test_an_old_key_is_no_longer_published() -> None:
    old, new = keys_at([0, 1000])
    assert published([old, new], EPOCH + timedelta(seconds=1000 + 900 + 61), LIFE) == [new]


def test_of_keys_given_by_value_the_first_signs_and_all_are_published() -> None:
    keys = parse_bundle((new_pem() + new_pem()).decode(), "SIGNING_KEYS")
    now = datetime.now(UTC)
    assert signer(keys, now) == keys[0]
    assert len(published(keys, now, LIFE)) == 2


def test_a_key_of_another_kind_is_refused_without_showing_it() -> None:
    pem = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(BadKey, match="not Ed25519") as caught:
        parse_pem(pem, EPOCH, "some.pem")
    assert "BEGIN" not in str(caught.value)
    with pytest.raises(BadKey, match="SIGNING_KEYS holds no PEM block"):
        parse_bundle("hunter2", "SIGNING_KEYS")


def test_development_makes_one_private_key_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    first, second = KeyRing(Settings(state_dir=tmp_path)), KeyRing(Settings(state_dir=tmp_path))
    (file,) = (tmp_path / "keys").glob("*")
    assert file.stat().st_mode & 0o777 == 0o600
    assert first.jwks() == second.jwks()


def test_the_key_set_is_one_that_verifiers_read(tmp_path: Path) -> None:
    ring = KeyRing(Settings(state_dir=tmp_path))
    assert ring.signer().kid in read_jwks(ring.jwks())


def test_a_rotated_key_is_published_first_and_old_files_go_when_nobody_needs_them(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    before = KeyRing(settings).signer()
    now = datetime.now(UTC)
    made, deleted = rotate(settings, timedelta(seconds=600), now)
    ring = KeyRing(settings)
    assert ring.signer().kid == before.kid
    assert {key["kid"] for key in ring.jwks()["keys"]} == {before.kid, made.kid}
    assert deleted == []
    _, deleted = rotate(settings, timedelta(seconds=600), now + timedelta(hours=2))
    assert deleted == ["20200101T000000Z.pem"]


def test_production_refuses_a_key_that_development_made(tmp_path: Path) -> None:
    KeyRing(Settings(state_dir=tmp_path))
    settings = Settings(
        state_dir=tmp_path,
        app_env="production",
        redis_url="redis://localhost",
        auth_database_url=f"sqlite:///{tmp_path}/a.db",
        bootstrap_admin_password=SecretStr("violet harbour 29 kites"),
        signing_keys_dir=tmp_path / "keys",
    )
    with pytest.raises(BadKey, match="SIGNING_KEYS_DIR"):
        KeyRing(settings)
