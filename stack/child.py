"""One service's process: started in a group of its own, logged, and stopped with everything it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process

from stack.console import readable
from stack.guardian import Guardian, signal_group
from stack.layout import REPOSITORY, Service
from stack.log_files import LogFile

STOP_TIMEOUT_SECONDS = 10.0


class Child:
    """A started service."""

    def __init__(self, service: Service, process: Process, log: LogFile, guardian: Guardian) -> None:
        self.service = service
        self._process = process
        self._log = log
        self._guardian = guardian
        assert process.stderr is not None  # noqa: S101 - for the type checker: it is a pipe
        self._stderr = asyncio.create_task(log.take(process.stderr))
        self._follow = asyncio.create_task(log.follow())

    @classmethod
    async def start(cls, service: Service, log: LogFile, guardian: Guardian) -> Child:
        """Starts the service's process; raises OSError when its command cannot be run."""
        process = await asyncio.create_subprocess_exec(
            *service.command,
            cwd=REPOSITORY,
            env={**os.environ, **service.environment},
            stdin=DEVNULL,
            stdout=log.file,
            stderr=PIPE,
            start_new_session=True,  # Ctrl-C reaches us alone: we stop the services in order
        )
        guardian.began(process.pid)
        return cls(service, process, log, guardian)

    @property
    def exit_code(self) -> int | None:
        """How the process ended: its exit code, minus the signal's number, or None while it runs."""
        return self._process.returncode

    async def ended(self) -> int:
        """Waits for the process to end and returns its exit code."""
        return await self._process.wait()

    async def stop(self, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> bool:
        """Ends the process and all that it started; False when it had to be killed."""
        group = self._process.pid
        gently = True
        if self.exit_code is None:
            signal_group(group, signal.SIGTERM)
            try:
                await asyncio.wait_for(self.ended(), timeout_seconds)
            except TimeoutError:
                gently = False
        signal_group(group, signal.SIGKILL)  # workers of a process that is gone, too
        await self.ended()
        self._guardian.ended(group)
        await self._read_the_rest()
        return gently

    def kill(self) -> None:
        """Ends the process and all that it started at once; `stop` still has to be awaited."""
        signal_group(self._process.pid, signal.SIGKILL)

    async def obituary(self) -> str:
        """How it ended and its last words, once it has ended."""
        code = await self.ended()
        await self._read_the_rest()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"stopped with exit code {code}"
        words = [readable("", line).strip() for line in self._log.last_lines]
        lines = "\n".join(f"    {line}" for line in words) or "    (it wrote nothing)"
        return f"{self.service.name} {how}. The end of {self._log.path}:\n{lines}"

    async def _read_the_rest(self) -> None:
        with contextlib.suppress(TimeoutError):  # a process that left the group may hold the pipe open
            await asyncio.wait_for(self._stderr, 1.0)
        self._follow.cancel()
        self._log.look()

    def close(self) -> None:
        """Closes the log file."""
        self._log.close()
