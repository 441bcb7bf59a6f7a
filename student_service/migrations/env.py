"""Alembic's environment: servicekit.database.migrate hands over an open connection."""

from __future__ import annotations

from alembic import context

from student_service.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite can't alter a table in place
)
with context.begin_transaction():
    context.run_migrations()
