"""What a batch in each state needs: the one place that knows all kinds of them."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from servicekit.logs import get_logger
from servicekit.problems import ServiceUnavailable
from student_service import batches, bulk, undo
from student_service.batches import ROWS_LIFETIME, Batch
from student_service.importing import applying, staging
from student_service.runner import Source, Work

SOURCE_GONE = "The service stopped while the file was being read. Nothing was changed; send the file again."
MANY_ROWS = 2_000
VACUUM_SECONDS = 60.0
UNEXPECTED = "Something went wrong here. Quote the batch's id when you report it."

log = get_logger()


def work_on(work: Work, batch: Batch, source: Source | None) -> None:
    """Bring a batch to its end, whatever it takes from the state it is in."""
    if batch.state == "reading":
        batch = _read(work, batch, source)
    if batch.state == "applying":
        (bulk if batch.kind == "bulk" else applying).run(work, batch)
        batch = _again(work, batch)
    if batch.state in undo.ENDS:
        undo.run(work, batch)
        batch = _again(work, batch)
    if batch.state == "rejected":
        staging.forget(work, batch)
    if batch.rows_applied >= MANY_ROWS:
        _take_stock(work)


def _take_stock(work: Work) -> None:
    """Do at once on PostgreSQL what autovacuum does some time later. Until then the planner doesn't know of the rows
    that have just been written, a count looks at all of them, and a search at those not yet sorted into its index.
    """
    if work.db.dialect != "postgresql" or work.stop.is_set():
        return
    try:
        with work.db.upkeep(VACUUM_SECONDS) as conn:
            conn.execute(text("VACUUM (ANALYZE) students, student_search, student_history"))
    except (SQLAlchemyError, ServiceUnavailable) as error:  # the batch is through all the same, and autovacuum comes by
        log.warning("vacuum_not_done", exc_info=error)


def _read(work: Work, batch: Batch, source: Source | None) -> Batch:
    if source is None:
        failed = {"state": "failed", "message": SOURCE_GONE, "finished_at": work.now()}
        with work.db.write() as conn:
            batches.hold(conn, batch.id, work.runner, work.now(), rows_expire_at=work.now(), **failed)
    else:
        staging.run(work, batch, source)
    return _again(work, batch)


def _again(work: Work, batch: Batch) -> Batch:
    with work.db.read() as conn:
        return batches.find(conn, batch.id)


def fail(work: Work, batch_id: str) -> bool:
    """Note that something nobody expected went wrong; whether there is something to be taken back first."""
    with work.db.write() as conn:
        batch = batches.find(conn, batch_id)
        reverts = batch.state == "applying" and bool(batch.settings.get("all_or_nothing"))
        told = {"state": "reverting" if reverts else "failed", "message": UNEXPECTED}
        expiry = work.now() + ROWS_LIFETIME
        batches.hold(conn, batch_id, work.runner, work.now(), finished_at=work.now(), rows_expire_at=expiry, **told)
    return reverts
