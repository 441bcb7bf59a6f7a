"""Ends the connections of a test's own asyncio servers, so that none is left for the garbage collector to warn of."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Collection

CLOSE_SECONDS = 2.0


async def close_all(writers: Collection[asyncio.StreamWriter]) -> None:
    """Break every connection off and wait until the loop has let go of it."""
    for writer in writers:
        writer.transport.abort()
    for writer in writers:
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), CLOSE_SECONDS)
