"""The tables of student_service (SQLAlchemy Core).

Columns whose name ends in ``_key`` hold folded text (see ``folding``). They compare by code point on both databases,
so a list has one order and a cursor one meaning wherever the records are kept.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from servicekit.database import UtcDateTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)

CODE_POINTS = Text().with_variant(Text(collation="C"), "postgresql")
IDENTIFIER = String(36).with_variant(String(36, collation="C"), "postgresql")

students = Table(
    "students",
    metadata,
    Column("id", IDENTIFIER, primary_key=True),
    Column("student_number", Text, nullable=False),
    Column("first_name", Text, nullable=False),
    Column("middle_name", Text),
    Column("last_name", Text, nullable=False),
    Column("preferred_name", Text),
    Column("email", Text, nullable=False),
    Column("phone", Text),
    Column("date_of_birth", Date),
    Column("program", Text),
    Column("year", SmallInteger),
    Column("status", CODE_POINTS, nullable=False),
    Column("enrolled_on", Date),
    Column("guardians", JSON(none_as_null=True), nullable=False),
    Column("notes", Text),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("deleted_at", UtcDateTime),
    Column("student_number_key", CODE_POINTS, nullable=False),
    Column("email_key", CODE_POINTS, nullable=False),
    Column("last_name_key", CODE_POINTS, nullable=False),
    Column("first_name_key", CODE_POINTS, nullable=False),
    Column("program_key", CODE_POINTS),
    Column("search_text", CODE_POINTS, nullable=False),
    # Deleted students count too: their number and address stay theirs, so a restore never fails.
    UniqueConstraint("student_number_key"),
    UniqueConstraint("email_key"),
)

history = Table(
    "student_history",
    metadata,
    Column("id", IDENTIFIER, primary_key=True),
    Column("student_id", IDENTIFIER, ForeignKey("students.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("changes", JSON(none_as_null=True), nullable=False),
    # Where the change was one of status: what it became, since which day and why.
    Column("status", CODE_POINTS),
    Column("status_on", Date),
    Column("reason", Text),
    Column("batch_id", IDENTIFIER),  # of the import or bulk change that made it
    UniqueConstraint("student_id", "version"),
)

number_counters = Table(
    "student_number_counters",
    metadata,
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("last", Integer, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("claim", Text, nullable=False),
    Column("claimed_until", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("status", SmallInteger),  # null while the first request is still running
    Column("headers", JSON(none_as_null=True)),
    Column("body", LargeBinary),
)

batches = Table(
    "batches",
    metadata,
    Column("id", IDENTIFIER, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("settings", JSON(none_as_null=True), nullable=False),
    Column("columns", JSON(none_as_null=True)),
    Column("rows_total", Integer),
    Column("rows_read", Integer, nullable=False),
    Column("rows_applied", Integer, nullable=False),  # also where to go on after a restart
    Column("counts", JSON(none_as_null=True), nullable=False),
    Column("message", Text),
    Column("finished_at", UtcDateTime),
    Column("undone_at", UtcDateTime),
    Column("undone_by", JSON(none_as_null=True)),
    Column("undo_position", IDENTIFIER),  # the last history entry that was looked at
    Column("rows_undone", Integer, nullable=False),
    Column("rows_kept", Integer, nullable=False),
    Column("kept", JSON(none_as_null=True)),  # the first students that an undo left as they are
    Column("runner", Text),  # the process that works on it
    Column("seen_at", UtcDateTime),  # when that process last said so
    Column("rows_expire_at", UtcDateTime),
)

batch_rows = Table(
    "batch_rows",
    metadata,
    Column("batch_id", IDENTIFIER, ForeignKey("batches.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("line", Integer),  # of the file
    Column("student_id", IDENTIFIER),
    Column("outcome", Text, nullable=False),
    Column("student_number_key", CODE_POINTS),
    Column("email_key", CODE_POINTS),
    Column("source_key", CODE_POINTS),  # the id that the sender's system has for the student
    Column("together", Integer),  # the same for rows that pass numbers or addresses on to each other, until applied
    Column("raw", JSON(none_as_null=True)),  # the cells as they were in the file
    Column("given", JSON(none_as_null=True)),  # the fields they amount to, cleaned
    Column("changes", JSON(none_as_null=True)),
    Column("errors", JSON(none_as_null=True)),
)

# The ids that other systems have for students, as imports told them; of several for one the latest batch's counts, so
# that an undo brings back what was known before.
student_sources = Table(
    "student_sources",
    metadata,
    Column("sourced_id", CODE_POINTS, primary_key=True),
    Column("batch_id", IDENTIFIER, primary_key=True),
    Column("student_id", IDENTIFIER, ForeignKey("students.id"), nullable=False),
)

ROW = ("batch_id", "position")  # the key of batch_rows

# The students that aren't deleted, as far as they are searched for; triggers keep it. What the indexes of searches are
# about, and much smaller than the students. Not the migrations' doing alone, so not among the tables above.
search_texts = Table(
    "student_search",
    MetaData(),
    Column("id", Integer, primary_key=True),  # only on SQLite, whose FTS5 wants it
    Column("student_id", IDENTIFIER, nullable=False, unique=True),
    Column("search_text", CODE_POINTS, nullable=False),
    Column("status", CODE_POINTS, nullable=False),
    Column("program_key", CODE_POINTS),
    Column("year", SmallInteger),
)


# The lists are nearly always about students that aren't deleted, so the indexes hold only those. A missing value
# sorts before all others: SQLite has it so anyway, on PostgreSQL the migration adds NULLS FIRST.
for _columns in (
    ("last_name_key", "id"),
    ("first_name_key", "id"),
    ("status", "last_name_key", "id"),
    ("program_key", "last_name_key", "id"),
    ("year", "last_name_key", "id"),
    ("date_of_birth", "last_name_key", "id"),
    ("enrolled_on", "last_name_key", "id"),
    ("created_at", "id"),
    ("updated_at", "id"),
):
    Index(
        f"ix_students_present_by_{_columns[0]}",
        *(students.c[_column] for _column in _columns),
        sqlite_where=students.c.deleted_at.is_(None),
        postgresql_where=students.c.deleted_at.is_(None),
    )

Index(
    "ix_students_present_counted",
    students.c.program_key,
    students.c.year,
    students.c.status,
    students.c.program,
    sqlite_where=students.c.deleted_at.is_(None),
    postgresql_where=students.c.deleted_at.is_(None),
)
Index(
    "ix_students_deleted_at",
    students.c.deleted_at,
    sqlite_where=students.c.deleted_at.is_not(None),
    postgresql_where=students.c.deleted_at.is_not(None),
)
Index("ix_idempotency_keys_expires_at", idempotency_keys.c.expires_at)
Index(
    "ix_student_history_batch_id",
    history.c.batch_id,
    history.c.id,
    sqlite_where=history.c.batch_id.is_not(None),
    postgresql_where=history.c.batch_id.is_not(None),
)
Index("ix_batches_kind", batches.c.kind, batches.c.id)
Index("ix_batch_rows_student_number_key", batch_rows.c.student_number_key, batch_rows.c.batch_id)
Index("ix_batch_rows_email_key", batch_rows.c.email_key, batch_rows.c.batch_id)
Index("ix_batch_rows_outcome", batch_rows.c.batch_id, batch_rows.c.outcome, batch_rows.c.position)
Index("ix_student_sources_batch_id", student_sources.c.batch_id, student_sources.c.student_id)
for _column in (batch_rows.c.student_id, batch_rows.c.source_key, batch_rows.c.together):
    Index(
        f"ix_batch_rows_{_column.name}",
        batch_rows.c.batch_id,
        _column,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )
