"""Between the halves of an import: rows that are to have what another student has, a number or an e-mail address.

They wait until the whole file is read. Then they may have it if that student has a row, too, by which it gets another
one; rows that pass something on to each other are marked, to be applied together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from student_service import batches
from student_service.batches import Batch
from student_service.claims import Claim, Who, groups, refused
from student_service.importing.deciding import taken
from student_service.models import ROW, batch_rows, students
from student_service.row_sets import update_rows
from student_service.rules import Wrong
from student_service.runner import Work

WAITING = "waiting"
SETTLED_AT_ONCE = 500
MOST_TOGETHER = 2_000  # applied in one transaction, for a second or two
CHANGED = ("update", "restore", WAITING)
TOO_MANY = f"is passed on among more than {MOST_TOGETHER:,} rows; send them in parts, who gets a new one first"

r, s = batch_rows.c, students.c
giver = batch_rows.alias("giver")
holder = students.alias("holder")


def run(work: Work, batch_id: str) -> None:
    """Decide about the rows that wait."""
    with work.db.read() as conn:
        if not batches.find(conn, batch_id).counts.get(WAITING):
            return
        outcomes = _outcomes(conn, batch_id)
        found = [claim for name in ("student_number", "email") for claim in _claims(conn, batch_id, name)]
    is_deleted = {(claim.claimant, claim.field): deleted for claim, deleted in found}
    wrong = {
        at: [Wrong(name, taken(name, is_deleted=is_deleted[at, name])) for name in names]
        for at, names in refused([claim for claim, _ in found]).items()
    }
    met = [claim for claim, _ in found if claim.claimant not in wrong]
    leaders = groups(met)
    sizes = Counter(leaders.values())
    wrong |= {
        claim.claimant: [Wrong(claim.field, TOO_MANY)]
        for claim in met
        if sizes[leaders[claim.claimant]] > MOST_TOGETHER
    }
    together = {at: leader for at, leader in leaders.items() if sizes[leader] <= MOST_TOGETHER}
    told = iter(sorted(outcomes.keys() | together.keys()))
    while positions := list(islice(told, SETTLED_AT_ONCE)):
        work.once(batch_id, partial(_settle, work, positions, outcomes, wrong, together))
        work.breathe(0)


def _settle(
    work: Work,
    positions: Sequence[Any],
    outcomes: Mapping[int, str],
    wrong: Mapping[Who, list[Wrong]],
    together: Mapping[Who, Who],
    conn: Connection,
    batch: Batch,
) -> bool:
    """Say of some rows what becomes of them."""
    met, unmet, givers = [], [], []
    counts = batch.counts
    for at in positions:
        row = {"batch_id": batch.id, "position": at}
        if at in wrong:
            errors = [error._asdict() for error in wrong[at]]
            unmet.append(row | {"outcome": "error", "errors": errors, "given": None, "changes": None})
        elif at in outcomes:
            met.append(row | {"outcome": outcomes[at], "errors": None, "together": together.get(at)})
        else:
            givers.append(row | {"together": together[at]})
        if at in outcomes:
            counts = batches.add_counts(counts, ["error" if at in wrong else outcomes[at]])
            counts[WAITING] -= 1
    for rows in (met, unmet, givers):
        update_rows(conn, batch_rows, rows, found_by=ROW)
    counts = {outcome: count for outcome, count in counts.items() if count or outcome != WAITING}
    batches.hold(conn, batch.id, work.runner, work.now(), counts=counts)
    return False


def _outcomes(conn: Connection, batch_id: str) -> dict[int, str]:
    """What the rows that wait would do: position → outcome."""
    found = select(r.position, r.student_id, s.deleted_at).select_from(
        batch_rows.outerjoin(students, s.id == r.student_id)
    )
    found = found.where(r.batch_id == batch_id, r.outcome == WAITING)
    return {
        row.position: "create" if row.student_id is None else "update" if row.deleted_at is None else "restore"
        for row in conn.execute(found)
    }


def _claims(conn: Connection, batch_id: str, name: str) -> Iterator[tuple[Claim, bool]]:
    """Who waits for what somebody else has, and whether that one is deleted; both named by the positions of their rows,
    a holder without a row by its id.
    """
    key, its_key, new_key = (table.c[f"{name}_key"] for table in (batch_rows, holder, giver))
    its_row = and_(giver.c.batch_id == batch_id, giver.c.student_id == holder.c.id, giver.c.outcome.in_(CHANGED))
    told = (r.position, key.label("key"), holder.c.id, holder.c.deleted_at)
    query = (
        select(*told, giver.c.position.label("giver"), new_key.label("new_key"))
        .select_from(batch_rows)
        .join(holder, and_(its_key == key, or_(r.student_id.is_(None), holder.c.id != r.student_id)))
        .outerjoin(giver, its_row)
        .where(r.batch_id == batch_id, r.outcome == WAITING)
    )
    for row in conn.execute(query):
        is_given_up = row.giver is not None and row.new_key is not None and row.new_key != row.key
        who = row.id if row.giver is None else row.giver
        yield Claim(row.position, name, who, is_given_up), row.deleted_at is not None
