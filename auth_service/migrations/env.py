"""Run by alembic: migrate over the connection that servicekit.database hands in."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine

from auth_service.models import metadata


def _migrate() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    # By hand, as `alembic -x url=… revision --autogenerate`.
    engine = create_engine(context.get_x_argument(as_dictionary=True)["url"])
    with engine.connect() as own:
        context.configure(connection=own, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()


_migrate()
