from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from auth_service.refresh_tokens import Verdict, hash_of, judge, new_salt, new_token, successor

GRACE = timedelta(seconds=10)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.integers(min_value=-(10**6), max_value=10**6).map(lambda seconds: EPOCH + timedelta(seconds=seconds))


@given(spent=moments, expires=moments, now=moments)
def test_a_spent_token_is_only_ever_repeated_within_the_grace_or_reuse(
    spent: datetime, expires: datetime, now: datetime
) -> None:
    verdict = judge(spent_at=spent, expires_at=expires, now=now, grace=GRACE)
    assert verdict is (Verdict.REPEAT if now <= spent + GRACE else Verdict.REUSED)


@given(expires=moments, now=moments)
def test_an_unspent_token_rotates_until_it_expires(expires: datetime, now: datetime) -> None:
    verdict = judge(spent_at=None, expires_at=expires, now=now, grace=GRACE)
    assert verdict is (Verdict.ROTATE if now < expires else Verdict.EXPIRED)


@given(st.text(max_size=600), st.text(alphabet="abc123-_", max_size=60))
def test_a_successor_is_always_the_same_and_never_its_parent(token: str, salt: str) -> None:
    following = successor(token, salt)
    assert following == successor(token, salt)
    assert following != token
    assert len(following) == 43


def test_another_salt_gives_another_successor() -> None:
    token = new_token()
    assert successor(token, new_salt()) != successor(token, new_salt())


def test_what_is_stored_does_not_contain_the_token() -> None:
    token = new_token()
    assert token not in hash_of(token)
    assert len(hash_of(token)) == 64
