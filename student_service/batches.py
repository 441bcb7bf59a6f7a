"""Batches in the database: many students changed by one request, with their rows, their progress and who works on them.

    import   reading ─┬─ previewed ─┐
                      ├─ rejected   ├─ applying ─┬─ done ── undoing ── undone
    bulk     ─────────┴─────────────┘            └─ reverting ── rejected
    failed: the process stopped while it was reading; nothing was changed

A batch is worked on in short transactions, so that nobody waits for it. Each of them says ``hold``: who no longer holds
the batch, because another process took it over, can't commit anything. What was applied and how far is one commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from servicekit.ids import uuid7
from servicekit.paging import decode_cursor, encode_cursor, page
from servicekit.problems import FieldError, NotFound, Unprocessable
from student_service.history import Actor
from student_service.models import batch_rows, batches
from student_service.naming import with_students

PREVIEW_LIFETIME = timedelta(days=1)
CHANGED = ("created", "updated", "deleted", "restored")
UNFINISHED = ("reading", "applying", "reverting", "undoing")
STALE = timedelta(seconds=30)  # a process that was silent for so long is taken for dead
ROWS_LIFETIME = timedelta(days=7)
KEPT_TOLD = 200
MAX_POSITION = 2**31 - 1
PURGED_AT_ONCE = 2_000

b, r = batches.c, batch_rows.c


@dataclass(frozen=True)
class Batch:
    """A batch as it is in the database."""

    id: str
    kind: str
    state: str
    created_at: datetime
    user_id: str
    username: str
    request_id: str
    settings: dict[str, Any]
    columns: list[dict[str, Any]] | None
    rows_total: int | None
    rows_read: int
    rows_applied: int
    counts: dict[str, int]
    message: str | None
    finished_at: datetime | None
    undone_at: datetime | None
    undone_by: dict[str, str] | None
    undo_position: str | None
    rows_undone: int
    rows_kept: int
    kept: list[str] | None
    runner: str | None
    seen_at: datetime | None
    rows_expire_at: datetime | None

    def actor(self, zone: tzinfo) -> Actor:
        """Who asked for it, as the history is to say."""
        return Actor(self.user_id, self.username, self.request_id, self.created_at, self.id, zone)


class LostHold(Exception):
    """Another process has taken the batch over."""


def create(
    conn: Connection, kind: str, state: str, settings: Mapping[str, Any], actor: Actor, runner: str, now: datetime
) -> str:
    """Begin a batch that ``runner`` works on; its id."""
    made = {
        "id": uuid7(), "kind": kind, "state": state, "created_at": actor.now, "user_id": actor.user_id,
        "username": actor.username, "request_id": actor.request_id, "settings": dict(settings), "rows_read": 0,
        "rows_applied": 0, "counts": {}, "rows_undone": 0, "rows_kept": 0, "runner": runner, "seen_at": now,
    }  # fmt: skip
    conn.execute(insert(batches), made)
    return str(made["id"])


def find(conn: Connection, batch_id: str, kind: str | None = None) -> Batch:
    """
    Raises:
        NotFound: There is none of this kind.
    """
    row = conn.execute(select(batches).where(b.id == batch_id)).first()
    if row is None or (kind is not None and row.kind != kind):
        raise NotFound("There is no such batch.")
    return Batch(**row._mapping)


def hold(conn: Connection, batch_id: str, runner: str, now: datetime, **told: Any) -> None:
    """Say that the runner is still at it, and how far; the first or last thing in each of its transactions.

    Raises:
        LostHold: Another one has it.
    """
    held = update(batches).where(b.id == batch_id, b.runner == runner).values(seen_at=now, **told)
    if conn.execute(held).rowcount != 1:
        raise LostHold


def take(conn: Connection, batch_id: str, runner: str, now: datetime, *, was: str | None, **told: Any) -> bool:
    """Make ``runner`` the one that works on a batch that ``was`` somebody's; False when another was quicker."""
    taken = update(batches).where(b.id == batch_id, b.runner.is_(None) if was is None else b.runner == was)
    return conn.execute(taken.values(runner=runner, seen_at=now, **told)).rowcount == 1


def let_go(conn: Connection, runner: str) -> None:
    """Leave all batches of a runner to whoever comes next."""
    conn.execute(update(batches).where(b.runner == runner).values(runner=None))


def still_here(conn: Connection, runner: str, now: datetime) -> None:
    """Say that a runner lives, for the batches that wait in its queue."""
    conn.execute(update(batches).where(b.runner == runner, b.state.in_(UNFINISHED)).values(seen_at=now))


def abandoned(conn: Connection, but_for: str, now: datetime) -> list[Batch]:
    """Batches that no other runner works on although they aren't finished."""
    nobody = or_(b.runner.is_(None), and_(b.seen_at < now - STALE, b.runner != but_for))
    rows = conn.execute(select(batches).where(b.state.in_(UNFINISHED), nobody).order_by(b.id))
    return [Batch(**row._mapping) for row in rows]


def add_counts(counts: Mapping[str, int], more: Iterable[str]) -> dict[str, int]:
    """Counts by outcome with some more outcomes."""
    added = dict(counts)
    for outcome in more:
        added[outcome] = added.get(outcome, 0) + 1
    return added


def listed(conn: Connection, kind: str, limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of batches, the newest first.

    Raises:
        Unprocessable: The cursor isn't one of this list.
    """
    query = select(batches).where(b.kind == kind)
    if cursor is not None:
        before = decode_cursor(cursor).get("before")
        if not isinstance(before, str) or len(before) != 36 or not before.isascii() or not before.isprintable():
            raise bad_cursor()
        query = query.where(b.id < before)
    rows = conn.execute(query.order_by(b.id.desc()).limit(limit + 1)).all()
    total = conn.execute(select(func.count()).select_from(batches).where(b.kind == kind)).scalar_one()
    next_cursor = encode_cursor({"before": rows[limit - 1].id}) if len(rows) > limit else None
    return page([told(Batch(**row._mapping)) for row in rows[:limit]], next_cursor, total)


def told(batch: Batch) -> dict[str, Any]:
    """A batch as the answers have it."""
    return {
        "id": batch.id,
        "kind": batch.kind,
        "state": batch.state,
        "created_at": batch.created_at,
        "by": {"id": batch.user_id, "username": batch.username},
        "settings": batch.settings,
        "columns": batch.columns,
        "rows_total": batch.rows_total,
        "rows_read": batch.rows_read,
        "rows_applied": batch.rows_applied,
        "counts": batch.counts,
        "message": batch.message,
        "finished_at": batch.finished_at,
        "can_commit": can_commit(batch, all_or_nothing=bool(batch.settings.get("all_or_nothing"))),
        "can_commit_rest": can_commit(batch, all_or_nothing=False),
        "can_undo": can_undo(batch),
        "undone_at": batch.undone_at,
        "undone_by": batch.undone_by and {name: batch.undone_by[name] for name in ("id", "username")},
        "rows_undone": batch.rows_undone,
        "rows_kept": batch.rows_kept,
        "kept": batch.kept or [],
    }


def can_commit(batch: Batch, *, all_or_nothing: bool) -> bool:
    """Whether a preview can be made so: with rows that have errors only without these, if there are others."""
    errors = batch.counts.get("error", 0)
    if batch.state != "previewed" or (errors and all_or_nothing):
        return False
    return errors == 0 or errors < batch.rows_read


def can_undo(batch: Batch) -> bool:
    """Whether it changed something that nobody has taken back yet."""
    has_begun = batch.rows_applied > 0 or any(batch.counts.get(outcome) for outcome in CHANGED)
    return batch.state == "done" or (batch.state == "failed" and has_begun and batch.undone_at is None)


def rows(conn: Connection, batch_id: str, outcome: str | None, limit: int, cursor: str | None) -> dict[str, Any]:
    """A page of a batch's rows, in their order, each with the student that it is about.

    Raises:
        Unprocessable: The cursor isn't one of this list.
    """
    asked = [r.batch_id == batch_id]
    if outcome is not None:
        asked.append(r.outcome == outcome)
    total = conn.execute(select(func.count()).select_from(batch_rows).where(*asked)).scalar_one()
    if cursor is not None:
        held = decode_cursor(cursor)
        after = held.get("after")
        is_ours = held.get("batch") == batch_id and held.get("outcome") == outcome
        if not is_ours or type(after) is not int or not 0 <= after <= MAX_POSITION:
            raise bad_cursor()
        asked.append(r.position > after)
    columns = (r.position, r.line, r.student_id, r.outcome, r.given, r.changes, r.errors)
    found = conn.execute(select(*columns).where(*asked).order_by(r.position).limit(limit + 1)).all()
    shown = found[:limit]
    has_more = len(found) > limit
    place = {"batch": batch_id, "outcome": outcome, "after": shown[-1].position} if has_more else None
    items = [
        {
            "position": row.position,
            "line": row.line,
            "student_id": row.student_id,
            "outcome": row.outcome,
            "values": row.given,
            "changes": row.changes or [],
            "errors": row.errors or [],
        }
        for row in shown
    ]
    return page(with_students(conn, items), encode_cursor(place) if place else None, total)


def has_expired(conn: Connection, now: datetime) -> bool:
    """Whether ``purge`` has something to do."""
    expired = select(b.id).where(b.rows_expire_at <= now, b.state.not_in(UNFINISHED)).limit(1)
    return conn.execute(expired).first() is not None


def purge(conn: Connection, now: datetime) -> bool:
    """Forget some rows of batches whose time is over; False when there are none left."""
    expired = select(b.id).where(b.rows_expire_at <= now, b.state.not_in(UNFINISHED)).limit(1)
    batch_id = conn.execute(expired).scalar()
    if batch_id is None:
        return False
    lapsed = update(batches).where(b.id == batch_id, b.state == "previewed")
    conn.execute(lapsed.values(state="failed", message="This preview has expired; nothing was changed."))
    first = select(r.position).where(r.batch_id == batch_id).order_by(r.position).limit(PURGED_AT_ONCE)
    positions = conn.execute(first).scalars().all()
    if positions:
        conn.execute(delete(batch_rows).where(r.batch_id == batch_id, r.position <= positions[-1]))
    else:
        conn.execute(update(batches).where(b.id == batch_id).values(rows_expire_at=None))
    return True


def bad_cursor() -> Unprocessable:
    """The refusal of a cursor that these lists never gave."""
    return Unprocessable(errors=[FieldError("cursor", "is not a cursor of this list; start again without one")])
