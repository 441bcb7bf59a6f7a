"""An ejected replica is tried by one probe or one request at a time, whatever becomes of the requests before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace

import pytest

from gateway.upstream import BreakerPolicy, UpstreamError, UpstreamPolicy, UpstreamResponse, UpstreamService, prepare
from tests.support.scripted_upstream import QUICK, Peer, Received, Upstream, ask, read_all, says
from tests.support.wait import until

PATIENT = replace(
    QUICK,
    deadlines=replace(QUICK.deadlines, first_byte_seconds=30, total_seconds=60),
    breaker=BreakerPolicy(failures=2, open_seconds=0.1, open_seconds_max=0.2),
)
OLDER = 12  # requests under way when the replica is ejected
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Check = Callable[[Upstream, UpstreamService], Coroutine[None, None, None]]


async def hang(peer: Peer, _request: Received) -> bool:
    await peer.gone()
    return False


def checked(check: Check, **changes: object) -> None:
    """Run the check against one replica whose `/hang`, `/healthz` and `/trial` say nothing, and `/break` resets."""

    async def run() -> None:
        scripts = {b"/hang": hang, b"/healthz": hang, b"/trial": hang, b"/break": says(then="reset")}
        upstream = Upstream(scripts)
        await upstream.start()
        policy: UpstreamPolicy = replace(PATIENT, **changes)  # type: ignore[arg-type]  # its own
        service = UpstreamService("students", [upstream.url], policy)
        try:
            async with asyncio.timeout(20):
                await check(upstream, service)
        finally:
            await service.aclose()
            await upstream.stop()

    asyncio.run(run())


async def so(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(until, condition)


def state(service: UpstreamService) -> str:
    return service.snapshot()[0].state


def send(service: UpstreamService, target: bytes) -> asyncio.Task[UpstreamResponse]:
    return asyncio.create_task(service.send(prepare(b"GET", target, [])))


async def leave(request: asyncio.Task[UpstreamResponse]) -> None:
    request.cancel()
    await asyncio.wait([request])


async def eject(service: UpstreamService) -> None:
    """Two requests fail, at once, so that no trial is due before both have."""
    failed = await asyncio.gather(*(send(service, b"/break") for _ in range(2)), return_exceptions=True)
    assert all(isinstance(each, UpstreamError) for each in failed)
    assert state(service) == "open"


async def older_requests(upstream: Upstream, service: UpstreamService) -> list[asyncio.Task[UpstreamResponse]]:
    requests = [send(service, b"/hang") for _ in range(OLDER)]
    await so(lambda: upstream.targets().count(b"/hang") == OLDER)
    return requests


async def begin_trial(upstream: Upstream, service: UpstreamService) -> asyncio.Task[UpstreamResponse]:
    """The first request that is let through again; it isn't answered yet."""
    await so(lambda: service._balancer._replicas[0].accepts(service._clock()))
    request = send(service, b"/trial")
    await so(lambda: b"/trial" in upstream.targets())
    assert state(service) == "half_open"
    return request


@pytest.mark.parametrize("end", ["left", "failed"])
def test_older_requests_that_end_during_a_probe_start_no_other(end: str) -> None:
    async def check(upstream: Upstream, service: UpstreamService) -> None:
        requests = await older_requests(upstream, service)
        writers = list(upstream.open)
        await eject(service)
        await so(lambda: b"/healthz" in upstream.targets())
        for request, writer in zip(requests, writers, strict=True):
            if end == "left":
                await leave(request)
            else:
                writer.transport.abort()  # some request's: which is all the same
            await asyncio.sleep(0.06)  # more than a tick, in which a trial would be begun
        await asyncio.wait(requests)
        assert upstream.targets().count(b"/healthz") == 1
        assert state(service) == "half_open"

    checked(check, probe_seconds=10.0)


def test_a_probe_goes_on_alone_when_older_answers_let_the_replica_back_and_it_is_ejected_again() -> None:
    async def check(upstream: Upstream, service: UpstreamService) -> None:
        may_answer = asyncio.Event()

        async def late(peer: Peer, _request: Received) -> bool:
            await may_answer.wait()
            await peer.say(OK)
            return True

        upstream.scripts[b"/late"] = late
        request = send(service, b"/late")
        await so(lambda: b"/late" in upstream.targets())
        await eject(service)
        await so(lambda: b"/healthz" in upstream.targets())
        may_answer.set()
        assert await read_all(await request) == b"ok"
        assert state(service) == "closed"
        await eject(service)
        await asyncio.sleep(0.4)  # a trial has been due for long
        assert upstream.targets().count(b"/healthz") == 1
        upstream.scripts[b"/healthz"] = says(OK)
        await so(lambda: state(service) == "closed")  # the probe has been given up, and the next one is answered

    checked(check, probe_seconds=1.0)


def test_an_answered_probe_lets_the_replica_back() -> None:
    async def check(upstream: Upstream, service: UpstreamService) -> None:
        await eject(service)
        await so(lambda: upstream.targets().count(b"/healthz") == 2)  # the first got no answer in time
        upstream.scripts[b"/healthz"] = says(OK)
        await so(lambda: state(service) == "closed")
        assert await ask(service, b"/a") == b"GET /a "

    checked(check, probe_seconds=0.1)


def test_older_requests_that_end_during_a_request_on_trial_let_no_other_through() -> None:
    async def check(upstream: Upstream, service: UpstreamService) -> None:
        requests = await older_requests(upstream, service)
        writers = list(upstream.open)
        await eject(service)
        trial = await begin_trial(upstream, service)
        for request in requests[: OLDER // 2]:
            await leave(request)
        for writer in writers:
            writer.transport.abort()
        await asyncio.wait(requests)
        for _ in range(5):
            with pytest.raises(UpstreamError):
                await ask(service, b"/other")
        assert b"/other" not in upstream.targets()
        assert state(service) == "half_open"
        await leave(trial)

    checked(check, probe_path=None, probe_seconds=10.0)


@pytest.mark.parametrize("end", ["answered", "failed", "left", "left while it connects", "never"])
def test_however_a_request_on_trial_ends_the_replica_comes_back(end: str) -> None:
    async def check(upstream: Upstream, service: UpstreamService) -> None:
        requests = await older_requests(upstream, service)
        await eject(service)
        if end == "answered":
            upstream.scripts[b"/trial"] = says(OK)
        if end == "failed":
            upstream.scripts[b"/trial"] = says(then="reset")
        await so(lambda: service._balancer._replicas[0].accepts(service._clock()))
        trial = send(service, b"/trial")
        if end == "left while it connects":
            await asyncio.sleep(0)
            assert state(service) == "half_open"
            await leave(trial)
        elif end in ("left", "never"):
            await so(lambda: b"/trial" in upstream.targets())
            if end == "left":
                await leave(trial)
        else:
            await asyncio.wait([trial])
            assert state(service) == ("closed" if end == "answered" else "open")

        while state(service) != "closed":
            with suppress(UpstreamError):
                assert await ask(service, b"/back") == b"GET /back "
            await asyncio.sleep(0.01)
        for request in [*requests, trial]:
            await leave(request)
        assert service.snapshot()[0].outstanding == 0, "a slot was lost"

    checked(check, probe_path=None, probe_seconds=0.3 if end == "never" else 10.0)
