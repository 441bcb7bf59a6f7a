"""The history of auth_service's tables (alembic)."""
