"""Starts the system in order, watches it, and stops it in the reverse order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from functools import partial

from servicekit.embedded_valkey import EmbeddedValkey, ValkeyUnavailable
from stack.child import STOP_TIMEOUT_SECONDS, Child
from stack.console import banner, complain, readable, say
from stack.guardian import Guardian
from stack.layout import Layout, Service
from stack.log_files import LogFile
from stack.ports import complaint_about_taken_ports
from stack.readiness import NotReady, wait_until_ready
from stack.stop_signals import StopSignals

READY_TIMEOUT_SECONDS = 90.0
# A second Ctrl-C means: don't wait for anybody. But `make` passes SIGTERM on to us, so that a signal to its whole
# process group reaches us twice; what comes at once with the first is no second request.
IMPATIENCE_SECONDS = 1.0
_WATCH_SECONDS = 1.0


class StackFailed(Exception):
    """The system cannot start or go on; the message is for the person at the terminal."""


async def run(layout: Layout, *, verbose: bool = False, ready_timeout_seconds: float = READY_TIMEOUT_SECONDS) -> int:
    """Runs the system until a signal asks it to stop (returns 0) or something fails (1); nothing is left running."""
    conductor = _Conductor(layout, verbose=verbose, ready_timeout_seconds=ready_timeout_seconds)
    signals = StopSignals()
    playing = asyncio.create_task(conductor.play())
    asked = asyncio.create_task(signals.next())
    await asyncio.wait({playing, asked}, return_when=asyncio.FIRST_COMPLETED)

    failure = playing.exception() if playing.done() and not asked.done() else None
    if failure is None:
        say(f"\n{(await asked).name}: stopping ...")
    elif isinstance(failure, StackFailed):
        complain(f"\n{failure}\n")
    playing.cancel()
    await asyncio.wait({playing})

    began_stopping = time.monotonic()
    stopping = asyncio.create_task(conductor.stop())
    while not stopping.done():
        asked = asyncio.create_task(signals.next()) if asked.done() else asked
        await asyncio.wait({stopping, asked}, return_when=asyncio.FIRST_COMPLETED)
        if asked.done() and time.monotonic() - began_stopping > IMPATIENCE_SECONDS:
            conductor.hurry()
    asked.cancel()
    signals.close()
    await stopping
    say("Stopped.")
    if failure is not None and not isinstance(failure, StackFailed):
        raise failure  # a mistake of ours: with its traceback
    return 1 if failure else 0


class _Conductor:
    def __init__(self, layout: Layout, *, verbose: bool, ready_timeout_seconds: float) -> None:
        self._layout = layout
        self._verbose = verbose
        self._ready_timeout_seconds = ready_timeout_seconds
        self._redis_url = layout.redis_url
        self._valkey: EmbeddedValkey | None = None
        self._guardian: Guardian | None = None
        self._children: dict[str, Child] = {}

    async def play(self) -> None:
        """Starts everything and then watches it; returns only by raising StackFailed."""
        try:
            if complaint := complaint_about_taken_ports(self._layout):
                raise StackFailed(complaint)
            self._guardian = Guardian()
            await self._start_valkey()
            for row in self._layout.rows:
                await _all(self._start(service, self._guardian) for service in row)
            for service in self._layout.services:
                await self._until_ready(self._children[service.name], replace(service, ready_path="/readyz"))
        except OSError as error:
            raise StackFailed(str(error)) from error
        say(banner(self._layout))
        await self._watch()

    async def _start_valkey(self) -> None:
        if self._redis_url is not None:
            return
        began = time.monotonic()
        try:
            # In a thread, because it blocks. Without grace: nobody outlives us who would want it.
            hold = partial(EmbeddedValkey.hold, self._layout.state_dir, grace_seconds=0)
            self._valkey = await asyncio.to_thread(hold)
        except ValkeyUnavailable as error:
            raise StackFailed(str(error)) from error
        self._redis_url = self._valkey.url
        _say_ready("valkey", began)

    async def _start(self, service: Service, guardian: Guardian) -> None:
        began = time.monotonic()
        path = self._layout.state_dir / "log" / f"{service.name}.jsonl"
        show = partial(_show, service.name)
        log = LogFile(path, service.name, show, show_all=self._verbose)
        assert self._redis_url is not None  # noqa: S101 - for the type checker: Valkey is started first
        service = replace(service, environment={**service.environment, "REDIS_URL": self._redis_url})
        child = await Child.start(service, log, guardian)
        self._children[service.name] = child
        await self._until_ready(child, service)
        _say_ready(service.name, began)

    async def _until_ready(self, child: Child, service: Service) -> None:
        ready = asyncio.create_task(wait_until_ready(service, self._ready_timeout_seconds))
        ended = asyncio.create_task(child.ended())
        try:
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise StackFailed(await child.obituary())
            await ready
        except NotReady as error:
            raise StackFailed(
                f"{error}\nIts log: {self._layout.state_dir / 'log' / f'{service.name}.jsonl'}"
            ) from error
        finally:
            ready.cancel()
            ended.cancel()

    async def _watch(self) -> None:
        ended = {asyncio.create_task(child.ended()): child for child in self._children.values()}
        try:
            while True:
                done, _ = await asyncio.wait(ended, timeout=_WATCH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    raise StackFailed(await ended[task].obituary())
                if self._valkey is not None and not self._valkey.alive():
                    log = self._layout.state_dir / "log" / "valkey.log"
                    raise StackFailed(f"The embedded Valkey has stopped; its log: {log}")
        finally:
            for task in ended:
                task.cancel()

    async def stop(self) -> None:
        """Stops what was started: the gateway first, Valkey last."""
        for row in reversed(self._layout.rows):
            children = [self._children[service.name] for service in row if service.name in self._children]
            for child, gently in zip(
                children, await asyncio.gather(*[child.stop() for child in children]), strict=True
            ):
                child.close()
                if not gently:
                    complain(f"{child.service.name} did not stop in time and was killed.")
        if self._valkey is not None:
            await asyncio.to_thread(self._valkey.release, wait_seconds=STOP_TIMEOUT_SECONDS)
        if self._guardian is not None:
            self._guardian.dismiss()

    def hurry(self) -> None:
        """Kills what has not stopped yet; `stop` goes on and finds it gone."""
        for child in self._children.values():
            if child.exit_code is None:
                child.kill()


async def _all(coroutines: Iterable[Coroutine[None, None, None]]) -> None:
    """Runs them side by side; the first failure ends the others and is raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _say_ready(name: str, began: float) -> None:
    say(f"  {name:<16} ready after {time.monotonic() - began:.1f} s")


def _show(name: str, line: bytes) -> None:
    say(readable(name, line))
