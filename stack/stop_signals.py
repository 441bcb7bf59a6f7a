"""What asks the stack to stop: Ctrl-C, SIGTERM, a hang-up, and the end of the `make` that started it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS = 1.0


class StopSignals:
    """The signals received, one after the other, until it is closed."""

    def __init__(self) -> None:
        self._received: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        for number in _NUMBERS:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup: we are to outlive the terminal
            self._loop.add_signal_handler(number, self._received.put_nowait, number)
        self._watch = asyncio.create_task(self._watch_make())

    async def next(self) -> signal.Signals:
        """Waits for one."""
        return await self._received.get()

    def close(self) -> None:
        """From now on signals are ignored: one more Ctrl-C on the way out is not worth a traceback."""
        self._watch.cancel()
        for number in _NUMBERS:
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    async def _watch_make(self) -> None:
        """Counts as a hang-up what `make` doesn't tell us: that it was killed, or that its own terminal is gone.

        The latter when no shell is in between, as in `ssh -t host make run`: only make hears of it, and waits for us.
        """
        if "MAKELEVEL" not in os.environ:
            return
        make = os.getppid()
        owns_terminal = os.getsid(0) == make and sys.stdin.isatty()
        while os.getppid() == make and (not owns_terminal or os.isatty(0)):  # noqa: ASYNC110 - only a look tells
            await asyncio.sleep(_LOOK_SECONDS)
        self._received.put_nowait(signal.SIGHUP)
