"""Admission: is this token revoked, and is this caller within its limit? One Redis round trip for both.

When Redis is away or the denylist isn't whole: protected routes answer 503 (``DENYLIST_ON_OUTAGE=deny``) or pass
(``allow``); limits are kept by each worker for itself (``RATE_LIMIT_ON_OUTAGE=local``), refuse (``deny``), or are off
(``allow``).
"""

from __future__ import annotations

import asyncio
import time
from importlib import resources
from typing import Any

import hiredis

from gateway.rate_policy import LocalLimiter, Quota, RatePolicy
from gateway.redis_link import RedisLink, RedisUnavailable, render_command, render_strings
from servicekit.problems import ServiceUnavailable, TooManyRequests, Unauthorized

SCRIPT = resources.files("gateway").joinpath("admit.lua").read_bytes()
WHOLE = b"denylist:whole"
_READINESS = RatePolicy("readiness", 1_000_000_000, 1)  # limits nobody
PASSED, REVOKED, NOT_WHOLE, LIMITED = 0, 1, 2, 3


class Admission:
    """Asks Redis about each request, and knows what to do when it doesn't answer."""

    def __init__(self, link: RedisLink, *, denylist_on_outage: str, rate_limit_on_outage: str) -> None:
        self._link = link
        self._pass_without_denylist = denylist_on_outage == "allow"
        self._flag = b"1" if self._pass_without_denylist else b"0"
        self._limit_on_outage = rate_limit_on_outage
        self._local = LocalLimiter()
        self._rendered: dict[tuple[int, int], _Rendered] = {}  # by limit and window

    async def admit(self, denylist_key: bytes, policy: RatePolicy | None, limiter_key: str) -> Quota | None:
        """``ask``, and ``answer`` at once."""
        return await self.answer(self.ask(denylist_key, policy, limiter_key))

    def ask(self, denylist_key: bytes, policy: RatePolicy | None, limiter_key: str) -> Question:
        """Send Redis the question whether one request may pass; its answer is to be awaited.

        Args:
            denylist_key: The key of its session, or b"" for a request without a token.
            policy: The limit that it counts against, if any.
            limiter_key: Who it counts for.
        """
        question = Question(denylist_key, policy, limiter_key)
        link = self._link
        if not link.is_up:
            return question
        key, rate = b"", (0, 0)
        if policy is not None:
            key = policy.key_prefix + limiter_key.encode("utf-8", "surrogateescape")
            rate = (policy.limit, policy.window_seconds * 1000)
        # Of the command's ten parts only the two keys are each request's own; the others are rendered once (2 µs).
        around = self._rendered.get(rate)
        if around is None or around.run_id is not link.run_id:
            around = self._rendered[rate] = _Rendered(link.shas[0], link.run_id, rate, self._flag)
        keys = b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(denylist_key), denylist_key, len(key), key)
        question.around, question.keys = around, keys
        question.reply = link.call(around.begin + keys + around.end)
        return question

    async def answer(self, question: Question) -> Quota | None:
        """Let the request pass that was asked about; None when no limit applies to it.

        Raises:
            Unauthorized: The token is revoked. TooManyRequests: The limit is reached.
            ServiceUnavailable: Redis can't tell, and the settings say to refuse then.
        """
        policy = question.policy
        try:
            reply = None if question.reply is None else await question.reply
            if type(reply) is not list:
                reply = await self._ask_again(question, reply)
        except RedisUnavailable:
            return self._without_redis(question.denylist_key, policy, question.limiter_key)
        verdict, remaining, milliseconds = reply
        if verdict == PASSED:
            return None if policy is None else Quota(True, remaining, milliseconds / 1000)
        if verdict == LIMITED and policy is not None:
            raise over_limit(policy, milliseconds / 1000)
        if verdict == REVOKED:
            raise Unauthorized("The access token has been revoked.", error="invalid_token")
        raise ServiceUnavailable("It can't be told right now whether the token is revoked.", retry_after=1)

    async def _ask_again(self, question: Question, reply: Any) -> Any:
        """The script's reply, where the first one was none. Raises RedisUnavailable."""
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
            # Somebody flushed the scripts: send the source, which also loads it again.
            reply = await self._link.call(question.around.begin_with_source + question.keys + question.around.end)
            if type(reply) is list:
                return reply
        if reply is not None:
            self._link.note_refusal(str(reply))
        raise RedisUnavailable(str(reply))

    def _without_redis(self, denylist_key: bytes, policy: RatePolicy | None, limiter_key: str) -> Quota | None:
        if denylist_key and not self._pass_without_denylist:
            raise ServiceUnavailable("It can't be told right now whether the token is revoked.", retry_after=1)
        if policy is None or self._limit_on_outage == "allow":
            return None
        if self._limit_on_outage == "deny":
            raise ServiceUnavailable("Requests can't be counted right now.", retry_after=1)
        quota = self._local.hit(policy, limiter_key, time.monotonic())
        if not quota.passed:
            raise over_limit(policy, quota.reset_seconds)
        return quota

    async def check_denylist(self) -> None:
        """Readiness: Redis answers, and the denylist is whole.

        Raises:
            ServiceUnavailable: It isn't.
        """
        try:
            async with asyncio.timeout(1):
                marker = await self._link.call(render_command(b"GET", WHOLE))
        except (RedisUnavailable, TimeoutError):
            raise ServiceUnavailable("Redis doesn't answer.") from None
        if marker != self._link.run_id:
            raise ServiceUnavailable("The denylist isn't whole.")

    async def check_redis(self) -> None:
        """Readiness: Redis answers, and takes what a limiter writes: not if it is full, or a replica.

        Raises:
            ServiceUnavailable: It doesn't.
        """
        try:
            question = self.ask(b"", _READINESS, "")
            reply = None if question.reply is None else await question.reply
            if type(reply) is not list:
                await self._ask_again(question, reply)
        except RedisUnavailable:
            raise ServiceUnavailable("Redis doesn't answer.") from None


class Question:
    """One request's question to Redis. ``reply`` is None when Redis wasn't there to be asked."""

    __slots__ = ("around", "denylist_key", "keys", "limiter_key", "policy", "reply")

    around: _Rendered  # with ``keys`` the command, where it was sent
    keys: bytes

    def __init__(self, denylist_key: bytes, policy: RatePolicy | None, limiter_key: str) -> None:
        self.denylist_key = denylist_key
        self.policy = policy
        self.limiter_key = limiter_key
        self.reply: asyncio.Future[Any] | None = None


class _Rendered:
    """The script's call as it is sent, without the two keys that each request has of its own."""

    __slots__ = ("begin", "begin_with_source", "end", "run_id")

    def __init__(self, sha: bytes, run_id: bytes, rate: tuple[int, int], flag: bytes) -> None:
        self.run_id = run_id
        self.begin = _begin_call(b"EVALSHA", sha)
        self.begin_with_source = _begin_call(b"EVAL", SCRIPT)
        limit, milliseconds = rate
        self.end = render_strings(run_id, b"%d" % limit, b"%d" % milliseconds, flag)


def _begin_call(command: bytes, script: bytes) -> bytes:
    return b"*10\r\n" + render_strings(command, script, b"3", WHOLE)


def over_limit(policy: RatePolicy, wait_seconds: float) -> TooManyRequests:
    """A 429 with the contract's headers."""
    headers = {"RateLimit-Policy": policy.header.decode(), "RateLimit": policy.quota_header(0, wait_seconds).decode()}
    return TooManyRequests(
        f"The limit is {policy.limit} requests in {policy.window_seconds} seconds.",
        retry_after=wait_seconds,
        headers=headers,
    )
