"""argon2id in a pool of its own: few threads at low priority, and a bounded queue in front.

Fails so: when the queue is full the caller gets 503 with ``Retry-After`` at once, so a flood of sign-ins costs a fixed
amount of memory (threads x MEMORY_KIB) and can't keep the service's other endpoints from being served.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from auth_service.passwords import normalise
from servicekit.problems import ServiceUnavailable

# OWASP's first recommendation for argon2id; raise them and every hash is renewed at its owner's next sign-in.
MEMORY_KIB = 19 * 1024
ITERATIONS = 2
LOWER_PRIORITY = 10  # added niceness: the event loop and the other processes go first

T = TypeVar("T")


class PasswordHasher:
    """Hashes and verifies passwords; ``close()`` it at the end."""

    def __init__(self, *, queue: int, workers: int = 1, memory_kib: int = MEMORY_KIB) -> None:
        """Use ``queue`` places to wait in, and the processors that this of ``workers`` processes may count on."""
        threads = max(1, (os.cpu_count() or 1) // workers)
        self._hash = PasswordHash((Argon2Hasher(time_cost=ITERATIONS, memory_cost=memory_kib, parallelism=1),))
        self.places = queue + threads  # callers that may be inside at once
        self._free = threading.BoundedSemaphore(self.places)
        self._pool = ThreadPoolExecutor(threads, "argon2", initializer=_lower_priority)
        # What an unknown user's password is compared with: nobody knows its password, and it costs the same time.
        self._nobody = self._hash.hash(os.urandom(16))

    def hash(self, password: str) -> str:
        """The hash to store.

        Raises:
            ServiceUnavailable: Too many are waiting.
        """
        return self._run(lambda: self._hash.hash(normalise(password)))

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether the password is right, and a new hash to store when the parameters have changed.

        ``stored`` None (no such user) takes the same time and is never right.

        Raises:
            ServiceUnavailable: Too many are waiting.
        """
        right, renewed = self._run(lambda: self._hash.verify_and_update(normalise(password), stored or self._nobody))
        return (right, renewed) if stored is not None else (False, None)

    def close(self) -> None:
        """End the pool; what waits in it is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, work: Callable[[], T]) -> T:
        if not self._free.acquire(blocking=False):
            raise ServiceUnavailable("Too many sign-ins at this moment; try again shortly.", retry_after=1)
        try:
            return self._pool.submit(work).result()
        finally:
            self._free.release()


def _lower_priority() -> None:
    # On Linux a thread has its own niceness; elsewhere this is refused or affects nothing that matters.
    with contextlib.suppress(OSError, AttributeError):
        if os.uname().sysname == "Linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWER_PRIORITY)
