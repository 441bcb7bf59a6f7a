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
    "ix_students_deleted_at",
    students.c.deleted_at,
    sqlite_where=students.c.deleted_at.is_not(None),
    postgresql_where=students.c.deleted_at.is_not(None),
)
Index("ix_idempotency_keys_expires_at", idempotency_keys.c.expires_at)
