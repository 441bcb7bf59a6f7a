"""Admission against a real Valkey: the script's window, its agreement with the local rule, and life without Redis."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.admit import SCRIPT, WHOLE, Admission
from gateway.rate_policy import SLICES, LocalLimiter, RatePolicy
from gateway.redis_link import RedisLink
from servicekit.problems import ServiceUnavailable, TooManyRequests, Unauthorized
from servicekit.valkey_process import ValkeyProcess
from tests.support.wait import until

CLOCK = b"local clock = redis.call('TIME')"
TURNED = SCRIPT.replace(CLOCK, b"local clock = {ARGV[5], ARGV[6]}")
"""The script as it is, but for a clock that the test turns."""
KEY = "denylist:sid:session"
POLICY = RatePolicy("test", 3, 60)

gaps_ms = st.lists(
    st.one_of(
        st.just(0), st.integers(0, 600), st.integers(0, 6_000), st.integers(9_000, 12_000), st.integers(0, 50_000)
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def script(valkey: ValkeyProcess) -> Any:
    assert TURNED != SCRIPT
    with redis.Redis.from_url(valkey.url) as client:
        yield client.register_script(TURNED)


def passes(script: Any, key: str, limit: int, window_ms: int, now_ms: int) -> tuple[bool, int, int]:
    clock = [now_ms // 1000, now_ms % 1000 * 1000]
    verdict, remaining, milliseconds = script(keys=["", "", key], args=["", limit, window_ms, "0", *clock])
    assert verdict in (0, 3)
    return verdict == 0, remaining, milliseconds


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 12), parts=gaps_ms, phase=st.integers(0, 10_000))
def test_no_window_of_whatever_phase_lets_more_than_the_limit_through(
    script: Any, limit: int, parts: list[int], phase: int
) -> None:
    window, key = 10_000, f"window:{time.monotonic_ns()}"
    now, passed, local = 1_700_000_000_000 + phase, [], LocalLimiter()
    policy = RatePolicy("test", limit, window // 1000)
    for part in parts:
        now += part
        did_pass, remaining, milliseconds = passes(script, key, limit, window, now)
        if did_pass:
            passed.append(now)
        # The rule that each worker keeps by itself while Redis is away is the same one.
        alone = local.hit(policy, key, now / 1000)
        assert (did_pass, remaining) == (alone.passed, alone.remaining)
        assert abs(milliseconds / 1000 - alone.reset_seconds) < 0.002
        assert 0 < milliseconds <= window * (1 + 1 / SLICES)
    for first, start in enumerate(passed):
        assert bisect_left(passed, start + window) - first <= limit


def test_a_clock_that_is_set_back_lets_nobody_through_again(script: Any) -> None:
    key = f"back:{time.monotonic_ns()}"
    now = 1_700_000_000_000
    assert [passes(script, key, 5, 10_000, now)[0] for _ in range(6)] == [True] * 5 + [False]
    assert not passes(script, key, 5, 10_000, now - 5_000)[0]
    assert not passes(script, key, 5, 10_000, now - 100_000)[0]


def test_a_limiters_key_is_gone_some_time_after_its_window(script: Any, valkey: ValkeyProcess) -> None:
    key = f"expiring:{time.monotonic_ns()}"
    passes(script, key, 5, 10_000, 1_700_000_000_000)
    with redis.Redis.from_url(valkey.url) as client:
        left = client.pttl(key)
    assert isinstance(left, int)
    assert 10_000 < left <= 11_500


def test_in_real_time_no_window_lets_more_than_the_limit_through(valkey: ValkeyProcess) -> None:
    limit, window, passed = 20, 0.4, []
    with redis.Redis.from_url(valkey.url) as client:
        real = client.register_script(SCRIPT.decode())
        key = f"real:{time.monotonic_ns()}"
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            before = time.monotonic()
            verdict, _, _ = real(keys=["", "", key], args=["", limit, int(window * 1000), "0"])
            if verdict == 0:
                passed.append((before, time.monotonic()))
    assert len(passed) >= limit * 2
    for first, (_, answered) in enumerate(passed):
        # Surely within one window: from the first's answer to another's question.
        within = [asked for asked, _ in passed[first + 1 :] if asked < answered + window * 0.95]
        assert 1 + len(within) <= limit * 1.1


Use = Callable[[Admission, RedisLink], Coroutine[Any, Any, None]]


def with_admission(url: str, use: Use, *, denylist: str = "deny", limits: str = "local") -> None:
    async def run() -> None:
        link = RedisLink(url, [SCRIPT])
        await link.start(wait_seconds=5)
        try:
            await use(Admission(link, denylist_on_outage=denylist, rate_limit_on_outage=limits), link)
        finally:
            await link.stop()

    asyncio.run(run())


def without_redis(use: Use, **chosen: str) -> None:
    async def run() -> None:
        link = RedisLink("redis://127.0.0.1:1", [SCRIPT])
        await use(Admission(link, denylist_on_outage=chosen["denylist"], rate_limit_on_outage=chosen["limits"]), link)

    asyncio.run(run())


def test_a_token_passes_only_while_the_denylist_is_whole_on_this_very_server(redis_url: str) -> None:
    async def use(admission: Admission, link: RedisLink) -> None:
        with redis.Redis.from_url(redis_url) as client:
            for marker in (None, b"", b"1", link.run_id[:-1], link.run_id.upper() + b"X", b"0" * 40):
                if marker is not None:
                    client.set(WHOLE, marker)
                with pytest.raises(ServiceUnavailable):
                    await admission.admit(KEY.encode(), POLICY, "somebody")
            client.set(WHOLE, link.run_id)
            quota = await admission.admit(KEY.encode(), POLICY, "somebody")
            assert quota is not None
            assert quota.remaining == 2, "what was refused used up nothing"
            client.set(KEY, "1")
            for _ in range(5):
                with pytest.raises(Unauthorized):
                    await admission.admit(KEY.encode(), POLICY, "somebody")
            assert (await admission.admit(b"denylist:sid:other", POLICY, "somebody")) is not None

    with_admission(redis_url, use)


def test_many_at_once_get_their_own_answers(redis_url: str) -> None:
    async def use(admission: Admission, link: RedisLink) -> None:
        with redis.Redis.from_url(redis_url) as client:
            client.set(WHOLE, link.run_id)
            client.set(KEY, "1")
        keys = [b"denylist:sid:session" if n % 3 == 0 else b"denylist:sid:%d" % n for n in range(300)]
        found = await asyncio.gather(*(admission.admit(key, None, "") for key in keys), return_exceptions=True)
        assert [type(answer) for answer in found] == [Unauthorized if n % 3 == 0 else type(None) for n in range(300)]

    with_admission(redis_url, use)


def test_an_answer_that_nobody_waits_for_any_more_reaches_nobody_else(redis_url: str) -> None:
    async def use(admission: Admission, link: RedisLink) -> None:
        with redis.Redis.from_url(redis_url) as client:
            client.set(WHOLE, link.run_id)
            client.set(KEY, "1")
        for _ in range(20):
            leaving = [asyncio.ensure_future(admission.admit(KEY.encode(), None, "")) for _ in range(5)]
            staying = asyncio.ensure_future(admission.admit(b"denylist:sid:other", None, ""))
            await asyncio.sleep(0)
            for task in leaving:
                task.cancel()
            assert await staying is None
            await asyncio.gather(*leaving, return_exceptions=True)

    with_admission(redis_url, use)


def test_flushed_scripts_are_loaded_again(redis_url: str) -> None:
    async def use(admission: Admission, _link: RedisLink) -> None:
        with redis.Redis.from_url(redis_url) as client:
            for _ in range(3):
                client.script_flush()
                assert await admission.admit(b"", POLICY, "somebody") is not None

    with_admission(redis_url, use)


def test_a_limit_is_shared_by_all_who_ask(redis_url: str) -> None:
    async def use(admission: Admission, _link: RedisLink) -> None:
        other_link = RedisLink(redis_url, [SCRIPT])
        await other_link.start(wait_seconds=5)
        other = Admission(other_link, denylist_on_outage="deny", rate_limit_on_outage="local")
        policy = RatePolicy("shared", 50, 60)
        both = (admission, other)
        found = await asyncio.gather(
            *(both[n % 2].admit(b"", policy, "somebody") for n in range(200)), return_exceptions=True
        )
        assert sum(isinstance(answer, TooManyRequests) for answer in found) == 150
        await other_link.stop()

    with_admission(redis_url, use)


@pytest.mark.parametrize("limits", ["local", "deny", "allow"])
@pytest.mark.parametrize("denylist", ["deny", "allow"])
def test_without_redis_the_settings_decide(denylist: str, limits: str) -> None:
    async def use(admission: Admission, _link: RedisLink) -> None:
        async def ask(key: bytes) -> str:
            try:
                await admission.admit(key, POLICY, "somebody")
            except ServiceUnavailable as problem:
                return f"503, come back in {(problem.headers or {}).get('Retry-After')}"
            except TooManyRequests:
                return "429"
            return "passed"

        away = ["503, come back in 1"] * 4
        by_limits = {"local": ["passed"] * 3 + ["429"], "deny": away, "allow": ["passed"] * 4}[limits]
        with_token = [await ask(KEY.encode()) for _ in range(4)]
        assert with_token == (by_limits if denylist == "allow" else away)
        if denylist == "deny":
            assert [await ask(b"") for _ in range(4)] == by_limits

    without_redis(use, denylist=denylist, limits=limits)


def test_a_redis_that_hangs_is_given_up_in_time_and_used_again_when_it_answers(own_valkey: ValkeyProcess) -> None:
    async def use(admission: Admission, link: RedisLink) -> None:
        own_valkey.pause()
        since = time.monotonic()
        found = await asyncio.gather(
            *(admission.admit(KEY.encode(), None, "") for _ in range(100)), return_exceptions=True
        )
        assert {type(answer) for answer in found} == {ServiceUnavailable}
        assert time.monotonic() - since < 3
        own_valkey.resume()
        await asyncio.to_thread(until, lambda: link.is_up, 10)
        assert await admission.admit(b"", POLICY, "somebody") is not None

    with_admission(own_valkey.url, use)
