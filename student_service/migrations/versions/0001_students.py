"""Students, their history, the counters of their numbers, and idempotency keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from servicekit.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
IDENTIFIER = sa.String(36).with_variant(sa.String(36, collation="C"), "postgresql")

SORTS = (
    ("last_name_key", "id"),
    ("first_name_key", "id"),
    ("status", "last_name_key", "id"),
    ("program_key", "last_name_key", "id"),
    ("year", "last_name_key", "id"),
    ("date_of_birth", "last_name_key", "id"),
    ("enrolled_on", "last_name_key", "id"),
    ("created_at", "id"),
    ("updated_at", "id"),
)
NULLABLE = ("program_key", "year", "date_of_birth", "enrolled_on")


def upgrade() -> None:
    op.create_table(
        "students",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("student_number", sa.Text, nullable=False),
        sa.Column("first_name", sa.Text, nullable=False),
        sa.Column("middle_name", sa.Text),
        sa.Column("last_name", sa.Text, nullable=False),
        sa.Column("preferred_name", sa.Text),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("phone", sa.Text),
        sa.Column("date_of_birth", sa.Date),
        sa.Column("program", sa.Text),
        sa.Column("year", sa.SmallInteger),
        sa.Column("status", CODE_POINTS, nullable=False),
        sa.Column("enrolled_on", sa.Date),
        sa.Column("guardians", sa.JSON, nullable=False),
        sa.Column("notes", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.Text, nullable=False),
        sa.Column("deleted_at", UtcDateTime),
        sa.Column("student_number_key", CODE_POINTS, nullable=False),
        sa.Column("email_key", CODE_POINTS, nullable=False),
        sa.Column("last_name_key", CODE_POINTS, nullable=False),
        sa.Column("first_name_key", CODE_POINTS, nullable=False),
        sa.Column("program_key", CODE_POINTS),
        sa.Column("search_text", CODE_POINTS, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_students"),
        sa.UniqueConstraint("student_number_key", name="uq_students_student_number_key"),
        sa.UniqueConstraint("email_key", name="uq_students_email_key"),
    )
    _create_indexes()
    op.create_table(
        "student_history",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("student_id", IDENTIFIER, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("changes", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_student_history"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_student_history_student_id_students"),
        sa.UniqueConstraint("student_id", "version", name="uq_student_history_student_id_version"),
    )
    op.create_table(
        "student_number_counters",
        sa.Column("year", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("year", name="pk_student_number_counters"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("claim", sa.Text, nullable=False),
        sa.Column("claimed_until", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("headers", sa.JSON),
        sa.Column("body", sa.LargeBinary),
        sa.PrimaryKeyConstraint("caller", "route", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_expires_at", "idempotency_keys", ["expires_at"])


def _create_indexes() -> None:
    # As text: SQLite refuses NULLS FIRST in an index, where it is what it does anyway.
    nulls_first = " NULLS FIRST" if op.get_bind().dialect.name == "postgresql" else ""
    for first, *rest in SORTS:
        columns = ", ".join([first + (nulls_first if first in NULLABLE else ""), *rest])
        op.execute(f"CREATE INDEX ix_students_present_by_{first} ON students ({columns}) WHERE deleted_at IS NULL")
    op.execute("CREATE INDEX ix_students_deleted_at ON students (deleted_at) WHERE deleted_at IS NOT NULL")


def downgrade() -> None:
    for table in ("idempotency_keys", "student_number_counters", "student_history", "students"):
        op.drop_table(table)
