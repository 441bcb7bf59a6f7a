"""The database's schema and the OpenAPI document say what the code does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi import FastAPI

from student_service.filters import Filters
from student_service.listing import SORTS, Order
from student_service.models import metadata, students
from student_service.search import conditions
from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.students import student_app


@pytest.fixture
def app(empty_url: str, make_client: MakeClient, signing: Signing, tmp_path: Path) -> FastAPI:
    app = student_app(signing, tmp_path, empty_url)
    make_client(app)
    return app


def test_the_migrations_make_the_tables_of_the_models(app: FastAPI) -> None:
    with app.state.database.engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        differences = [
            entry
            for entry in compare_metadata(context, metadata)
            if not has_nulls_first(entry) and not is_of_the_search(entry)
        ]
        assert differences == []


def is_of_the_search(difference: Any) -> bool:
    """Whether it is what only one of the databases has: SQLite's trigram tables, PostgreSQL's trigram index."""
    name = getattr(difference[1], "name", "") if isinstance(difference, tuple) else ""
    return str(name).startswith(("student_search", "students_fts", "ix_students_search_text"))


def has_nulls_first(difference: Any) -> bool:
    """Whether it is one of the indexes that only PostgreSQL's dialect can describe in full."""
    return difference[0] in ("add_index", "remove_index") and difference[1].name.removeprefix(
        "ix_students_present_by_"
    ) in ("program_key", "year", "date_of_birth", "enrolled_on")


@pytest.mark.parametrize("sign", ["", "-"])
def test_every_sort_reads_an_index_and_sorts_nothing(app: FastAPI, sign: str) -> None:
    with app.state.database.engine.connect() as conn:
        if conn.dialect.name == "postgresql":
            # An empty table is cheaper to sort: with sorting off, a sort is planned only where no index has the order.
            conn.exec_driver_sql("SET enable_sort = off")
        for name in SORTS:
            query = (
                sa.select(students).where(*conditions(Filters())).order_by(*Order.of(sign + name).clauses()).limit(20)
            )
            sql = str(query.compile(conn, compile_kwargs={"literal_binds": True}))
            explain = "EXPLAIN QUERY PLAN" if conn.dialect.name == "sqlite" else "EXPLAIN"
            plan = "\n".join(str(row) for row in conn.exec_driver_sql(f"{explain} {sql}"))
            assert "TEMP B-TREE" not in plan, (name, plan)
            assert "Sort  (" not in plan, (name, plan)
            assert "index" in plan.lower(), (name, plan)


def test_the_document_names_every_route_and_what_it_may_answer(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    routes = {path: set(operations) for path, operations in paths.items() if path.startswith("/students")}
    assert routes == {
        "/students/": {"get", "post"},
        "/students/stats": {"get"},
        "/students/import": {"post"},
        "/students/export": {"get"},
        "/students/imports": {"get"},
        "/students/imports/{batch_id}": {"get"},
        "/students/imports/{batch_id}/rows": {"get"},
        "/students/imports/{batch_id}/errors.csv": {"get"},
        "/students/imports/{batch_id}/commit": {"post"},
        "/students/imports/{batch_id}/undo": {"post"},
        "/students/imports/{batch_id}/kept": {"get"},
        "/students/bulk": {"get", "post"},
        "/students/bulk/{batch_id}": {"get"},
        "/students/bulk/{batch_id}/rows": {"get"},
        "/students/bulk/{batch_id}/undo": {"post"},
        "/students/bulk/{batch_id}/kept": {"get"},
        "/students/{student_id}": {"get", "put", "patch", "delete"},
        "/students/{student_id}/restore": {"post"},
        "/students/{student_id}/history": {"get"},
        "/students/{student_id}/status": {"post"},
        "/students/{student_id}/timeline": {"get"},
    }
    for path in routes:
        for operation in paths[path].values():
            assert {"401", "403", "422", "503"} <= operation["responses"].keys()
            assert operation["summary"]
            assert operation["security"]
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], (path, status)
