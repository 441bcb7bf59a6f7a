"""The ids that other systems have for students (OneRoster's sourcedIds), and what rows of a file pass on to others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CODE_POINTS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
IDENTIFIER = sa.String(36).with_variant(sa.String(36, collation="C"), "postgresql")
INDEXES = {
    "ix_batch_rows_student_id": "student_id",
    "ix_batch_rows_source_key": "source_key",
    "ix_batch_rows_together": "together",
}


def upgrade() -> None:
    op.create_table(
        "student_sources",
        sa.Column("sourced_id", CODE_POINTS, nullable=False),
        sa.Column("batch_id", IDENTIFIER, nullable=False),
        sa.Column("student_id", IDENTIFIER, nullable=False),
        sa.PrimaryKeyConstraint("sourced_id", "batch_id", name="pk_student_sources"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_student_sources_student_id_students"),
    )
    op.create_index("ix_student_sources_batch_id", "student_sources", ["batch_id", "student_id"])
    op.add_column("batch_rows", sa.Column("source_key", CODE_POINTS))
    op.add_column("batch_rows", sa.Column("together", sa.Integer))
    for name, column in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON batch_rows (batch_id, {column}) WHERE {column} IS NOT NULL")


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "batch_rows")
    with op.batch_alter_table("batch_rows") as table:
        table.drop_column("together")
        table.drop_column("source_key")
    op.drop_table("student_sources")
