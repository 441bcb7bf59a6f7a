"""The limiter's rule as values: no window lets too many through, and what it says of itself is true."""

from __future__ import annotations

from bisect import bisect_left
from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rate_policy import SLICES, LocalLimiter, RatePolicy, parse_rate
from servicekit.addresses import client_key

policies = st.builds(
    RatePolicy, name=st.just("test"), limit=st.integers(1, 30), window_seconds=st.sampled_from([1, 10, 60])
)
# Gaps as parts of a window: bursts, a steady stream, long silences.
gaps = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 0.06), st.floats(0, 0.6), st.floats(0.9, 1.2), st.floats(0, 40)), max_size=150
)


def hits(policy: RatePolicy, parts: list[float], start: float = 1_000_000.3) -> list[tuple[float, bool, int, float]]:
    limiter, now, found = LocalLimiter(), start, []
    for part in parts:
        now += part * policy.window_seconds
        quota = limiter.hit(policy, "key", now)
        found.append((now, quota.passed, quota.remaining, quota.reset_seconds))
    return found


@given(policies, gaps)
def test_no_window_of_whatever_phase_holds_more_than_the_limit(policy: RatePolicy, parts: list[float]) -> None:
    passed = [now for now, did_pass, _, _ in hits(policy, parts) if did_pass]
    for first in range(len(passed)):
        # Half open: [t, t + window).
        assert bisect_left(passed, passed[first] + policy.window_seconds) - first <= policy.limit


@given(policies, gaps)
def test_a_caller_who_stays_within_the_limit_is_never_refused(policy: RatePolicy, parts: list[float]) -> None:
    seen: list[float] = []
    longest = policy.window_seconds * (1 + 2 / SLICES)  # quota comes back up to a slice late
    for now, did_pass, _, _ in hits(policy, parts):
        if not did_pass:
            recent = [t for t in seen if t > now - longest]
            assert len(recent) >= policy.limit
        else:
            seen.append(now)


@given(policies, gaps)
def test_the_remaining_quota_and_the_time_of_its_return_are_true(policy: RatePolicy, parts: list[float]) -> None:
    for _, did_pass, remaining, reset in hits(policy, parts):
        assert 0 <= remaining < policy.limit
        assert 0 < reset <= policy.window_seconds * (1 + 1 / SLICES) + 1e-6
        assert did_pass or remaining == 0


@given(policies, st.integers(1, 40), st.floats(0, 1e6))
def test_who_waits_as_long_as_told_passes(policy: RatePolicy, extra: int, start: float) -> None:
    limiter = LocalLimiter()
    for _ in range(policy.limit):
        assert limiter.hit(policy, "key", start).passed
    refused = limiter.hit(policy, "key", start + policy.window_seconds * extra / 50)
    if not refused.passed:
        then = start + policy.window_seconds * extra / 50 + refused.reset_seconds + 1e-3
        assert limiter.hit(policy, "key", then).passed


def test_a_refused_request_uses_up_no_quota() -> None:
    policy, limiter = RatePolicy("test", 2, 60), LocalLimiter()
    assert [limiter.hit(policy, "key", 0.0).passed for _ in range(50)] == [True, True] + [False] * 48
    assert limiter.hit(policy, "key", 63.1).passed


def test_callers_and_policies_have_quotas_of_their_own() -> None:
    one, other, limiter = RatePolicy("one", 1, 60), RatePolicy("other", 1, 60), LocalLimiter()
    assert limiter.hit(one, "a", 0).passed
    assert limiter.hit(one, "b", 0).passed
    assert limiter.hit(other, "a", 0).passed
    assert not limiter.hit(one, "a", 1).passed


@given(st.lists(st.integers(0, 30), max_size=200))
@settings(max_examples=30)
def test_its_memory_is_bounded_and_the_longest_unused_key_goes_first(keys: list[int]) -> None:
    limiter, policy = LocalLimiter(max_keys=10), RatePolicy("test", 1, 3600)
    recent: list[int] = []
    for number, key in enumerate(keys):
        remembered = key in recent
        assert limiter.hit(policy, str(key), float(number)).passed is not remembered
        recent = [*(each for each in recent if each != key), key][-10:]


@pytest.mark.parametrize(
    ("text", "limit", "seconds"),
    [("120/minute", 120, 60), ("10 per 5 seconds", 10, 5), ("1/hour", 1, 3600), ("7/2 minutes", 7, 120)],
)
def test_rates_are_read_in_the_notation_of_limits(text: str, limit: int, seconds: int) -> None:
    policy = parse_rate("name", text)
    assert (policy.limit, policy.window_seconds) == (limit, seconds)
    assert policy.header == b'"name";q=%d;w=%d' % (limit, seconds)


@pytest.mark.parametrize("text", ["", "fast", "0/minute", "-1/minute", "10/fortnight", "minute/10", "1.5/second"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate|nothing"):
        parse_rate("name", text)


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1))
def test_all_addresses_of_an_ipv6_network_of_64_bits_share_one_key(address: int, host: int) -> None:
    one = IPv6Address(address)
    neighbour = IPv6Address(address >> 64 << 64 | host)
    if one.ipv4_mapped or neighbour.ipv4_mapped:
        return
    assert client_key(str(one)) == client_key(str(neighbour)) == client_key(one.exploded)
    assert client_key(str(one)) == str(IPv6Network((address, 64), strict=False))


def test_other_addresses_are_keys_of_their_own() -> None:
    assert client_key("192.0.2.1") != client_key("192.0.2.2")
    assert client_key("::ffff:192.0.2.1") == client_key("192.0.2.1")
    assert client_key("fe80::1%eth0") == client_key("fe80::2")
    assert client_key("2001:db8:0:1::1") != client_key("2001:db8:0:2::1")
    assert client_key("unknown") == "unknown"
