"""Dated events in the history, and batches: imports and bulk changes with their rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from servicekit.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
IDENTIFIER = sa.String(36).with_variant(sa.String(36, collation="C"), "postgresql")
TOLD_AT_ONCE = 1_000

history = sa.table(
    "student_history",
    sa.column("id", IDENTIFIER),
    sa.column("at", UtcDateTime),
    sa.column("changes", sa.JSON),
    sa.column("status", CODE_POINTS),
    sa.column("status_on", sa.Date),
)


def upgrade() -> None:
    op.add_column("student_history", sa.Column("status", CODE_POINTS))
    op.add_column("student_history", sa.Column("status_on", sa.Date))
    op.add_column("student_history", sa.Column("reason", sa.Text))
    op.add_column("student_history", sa.Column("batch_id", IDENTIFIER))
    op.execute("CREATE INDEX ix_student_history_batch_id ON student_history (batch_id, id) WHERE batch_id IS NOT NULL")
    _date_the_statuses_there_are()
    op.create_table(
        "batches",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("columns", sa.JSON),
        sa.Column("rows_total", sa.Integer),
        sa.Column("rows_read", sa.Integer, nullable=False),
        sa.Column("rows_applied", sa.Integer, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("undone_at", UtcDateTime),
        sa.Column("undone_by", sa.JSON),
        sa.Column("undo_position", IDENTIFIER),
        sa.Column("rows_undone", sa.Integer, nullable=False),
        sa.Column("rows_kept", sa.Integer, nullable=False),
        sa.Column("kept", sa.JSON),
        sa.Column("runner", sa.Text),
        sa.Column("seen_at", UtcDateTime),
        sa.Column("rows_expire_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_index("ix_batches_kind", "batches", ["kind", "id"])
    op.create_table(
        "batch_rows",
        sa.Column("batch_id", IDENTIFIER, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("line", sa.Integer),
        sa.Column("student_id", IDENTIFIER),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("student_number_key", CODE_POINTS),
        sa.Column("email_key", CODE_POINTS),
        sa.Column("raw", sa.JSON),
        sa.Column("given", sa.JSON),
        sa.Column("changes", sa.JSON),
        sa.Column("errors", sa.JSON),
        sa.PrimaryKeyConstraint("batch_id", "position", name="pk_batch_rows"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_batch_rows_batch_id_batches"),
    )
    op.create_index("ix_batch_rows_student_number_key", "batch_rows", ["student_number_key", "batch_id"])
    op.create_index("ix_batch_rows_email_key", "batch_rows", ["email_key", "batch_id"])
    op.create_index("ix_batch_rows_outcome", "batch_rows", ["batch_id", "outcome", "position"])


def _date_the_statuses_there_are() -> None:
    """What the history already tells about statuses becomes dated on the day it was written down."""
    conn = op.get_bind()
    columns = (history.c.id, history.c.at, history.c.changes)
    last = ""
    while True:
        asked = sa.select(*columns).where(history.c.id > last).order_by(history.c.id).limit(TOLD_AT_ONCE)
        rows = conn.execute(asked).all()
        if not rows:
            return
        last = rows[-1].id
        dated = [
            {"entry": row.id, "status": change["new"], "status_on": row.at.date()}
            for row in rows
            for change in row.changes
            if change["field"] == "status"
        ]
        if dated:
            told = sa.update(history).where(history.c.id == sa.bindparam("entry"))
            told = told.values(status=sa.bindparam("status"), status_on=sa.bindparam("status_on"))
            conn.execute(told, dated)


def downgrade() -> None:
    op.drop_table("batch_rows")
    op.drop_table("batches")
    op.drop_index("ix_student_history_batch_id", "student_history")
    with op.batch_alter_table("student_history") as table:
        for column in ("batch_id", "reason", "status_on", "status"):
            table.drop_column(column)
