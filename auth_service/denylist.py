"""The copy of the revocations in Redis that every gateway checks: publishing, and rebuilding after a loss.

``denylist:sid:<sid>`` exists for a revoked session until its last token has expired. ``denylist:whole`` holds the
``run_id`` of the Redis server that the copy was completed on; a gateway believes the copy only when the marker equals
the run_id of the server it talks to. So a flush (no marker) and a restart, even from an old snapshot (another run_id),
make the gateways answer 503 until ``tick`` has put everything back.

When Redis fails, ``publish`` raises and the client gets 503; the revocation is in the database, and ``tick`` publishes
it as soon as Redis is back.
"""

from __future__ import annotations

import contextlib
import math
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

import redis

from auth_service import revocations
from auth_service.revocations import CHUNK, Revocation
from servicekit.database import Database
from servicekit.logs import get_logger
from servicekit.problems import ServiceUnavailable

log = get_logger()
SESSION_KEY = "denylist:sid:"
WHOLE_KEY = "denylist:whole"
REBUILD_KEY = "denylist:rebuild:"
REBUILD_SECONDS = 600

# The server's own identity is asked inside each script: between two commands a client may have reconnected elsewhere.
_RUN_ID = "local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')\n"
_IS_WHOLE = _RUN_ID + "if redis.call('GET', KEYS[1]) == run_id then return 1 end return 0"
_BEGIN = _RUN_ID + "redis.call('SET', KEYS[1], '1', 'EX', ARGV[1]) return run_id"
# The nonce is still there and the server the same: nothing was lost since the rebuild began.
_SEAL = (
    _RUN_ID
    + "if redis.call('EXISTS', KEYS[1]) == 1 and run_id == ARGV[1] then\n"
    + "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[2], run_id) return 1 end return 0"
)


class Denylist:
    """Writes the denylist; auth_service is its only writer."""

    def __init__(self, client: redis.Redis, db: Database, clock: Callable[[], datetime]) -> None:
        self._redis = client
        self._db = db
        self._clock = clock

    def publish(self, revoked: Sequence[Revocation]) -> None:
        """Make every gateway refuse these sessions from now on.

        Raises:
            ServiceUnavailable: Redis did not take them; they stay in the outbox.
        """
        try:
            self._write(revoked)
        except redis.RedisError as error:
            log.warning("denylist_publish_failed", error=type(error).__name__, sessions=len(revoked))
            raise ServiceUnavailable(
                "The sign-out is stored but could not be made effective everywhere yet; try again.", retry_after=1
            ) from None
        if revoked:
            # Only saves work: what can't be marked is published once more by `tick`.
            with contextlib.suppress(ServiceUnavailable):
                self._mark(revoked, self._clock())

    def is_whole(self) -> bool:
        """Whether gateways believe the copy on the server that is reached now.

        Raises:
            redis.RedisError: It can't be asked.
        """
        return bool(self._redis.eval(_IS_WHOLE, 1, WHOLE_KEY))

    def tick(self) -> None:
        """Rebuild if something was lost, then publish what is left in the outbox.

        Raises:
            redis.RedisError: Redis is away; call again.
            ServiceUnavailable: The database is; call again.
        """
        if not self.is_whole():
            self.rebuild()
        now = self._clock()
        with self._db.read() as conn:
            waiting = revocations.some_unpublished(conn, now)
        if waiting:
            self._write(waiting)
            self._mark(waiting, now)

    def rebuild(self) -> bool:
        """Write everything from the database and set the marker; False when Redis lost data meanwhile.

        The nonce is written before the database is read: a revocation that commits after the read is published by its
        own request to the same server, and any loss in between takes the nonce away.
        """
        nonce = REBUILD_KEY + secrets.token_hex(16)
        run_id = self._redis.eval(_BEGIN, 1, nonce, str(REBUILD_SECONDS))
        with self._db.read() as conn:
            everything = revocations.unexpired(conn, self._clock())
        self._write(everything)
        sealed = bool(self._redis.eval(_SEAL, 2, nonce, WHOLE_KEY, run_id))
        log.info("denylist_rebuilt", sessions=len(everything), whole=sealed)
        return sealed

    def _mark(self, published: Sequence[Revocation], now: datetime) -> None:
        with self._db.write() as conn:
            for some in revocations.batched(published, CHUNK):
                revocations.mark_published(conn, [item.session_id for item in some], now)

    def _write(self, revoked: Sequence[Revocation]) -> None:
        now = self._clock()
        for some in revocations.batched(revoked, CHUNK):
            pipe = self._redis.pipeline(transaction=False)
            for item in some:
                seconds = math.ceil((item.expires_at - now).total_seconds())
                pipe.set(SESSION_KEY + item.session_id, "1", ex=max(1, seconds))
            pipe.execute()
