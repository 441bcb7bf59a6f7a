"""Search finds the same by an index, by a walk and without either, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url
from starlette.testclient import TestClient

from servicekit.database import Database, utc_now
from student_service import many, rules, search
from student_service.folding import fold, keys_of
from student_service.history import Actor
from student_service.main import MIGRATIONS
from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.students import a_student, student_app

ACTOR = Actor("user-1", "rita", "r", utc_now())
NAMES = [
    "Ann",
    "Ånna",
    "Zoë",
    "O'Brien",
    "100%",
    "Under_score",
    "Back\\slash",
    'Qu"ote',
    "Ва́ря",
    "李小龍",
    "Ñandú",
    "Bo",
]


@pytest.fixture
def client_of(make_client: MakeClient, signing: Signing, tmp_path: Path) -> Callable[[str], tuple[FastAPI, TestClient]]:
    def make(url: str) -> tuple[FastAPI, TestClient]:
        app = student_app(signing, tmp_path, url)
        client = make_client(app)
        client.headers.update(signing.bearer())
        return app, client

    return make


ClientOf = Callable[[str], tuple[FastAPI, TestClient]]


def add(app: FastAPI, *bodies: dict[str, Any]) -> None:
    with app.state.database.write() as conn:
        many.insert_all(conn, [rules.completed(body) for body in bodies], ACTOR)


def test_any_search_finds_those_that_have_each_word_somewhere(url: str, client_of: ClientOf) -> None:
    app, client = client_of(url)
    names = [(first, last) for first in NAMES for last in NAMES]
    add(app, *(a_student(first_name=first, last_name=last) for first, last in names))
    texts = {s["id"]: keys_of(s)["search_text"] or "" for page in pages(client, {"limit": 200}) for s in page["items"]}
    pieces = st.sampled_from([fold(name)[i : i + n] for name in NAMES for i in range(3) for n in (1, 2, 3, 4)])

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        st.lists(
            pieces | st.sampled_from(["%", "_", "\\", '"', "'", "a%", "*", "AND", "NOT an", "an*", "ada1"]),
            min_size=1,
            max_size=3,
        )
    )
    def holds(words: list[str]) -> None:
        query = " ".join(words)
        wanted = {one for one, text in texts.items() if all(word in text for word in fold(query).split())}
        found = client.get("/students", params={"q": query, "limit": 200}).json()
        assert {student["id"] for student in found["items"]} == wanted, query
        assert found["total"] == len(wanted)

    holds()


def pages(client: TestClient, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """All pages of a list."""
    found = [client.get("/students", params=asked).json()]
    while found[-1]["next_cursor"]:
        found.append(client.get("/students", params=asked | {"cursor": found[-1]["next_cursor"]}).json())
    return found


def test_words_that_many_have_are_found_page_by_page_too(url: str, client_of: ClientOf) -> None:
    app, client = client_of(url)
    count = search.FEW + 50
    add(app, *(a_student(first_name=f"Name{n}", year=n % 12 + 1) for n in range(count)))
    for query in ("ada", "ad", "lovelace nam", "example.org l"):
        found = pages(client, {"q": query, "limit": 200})
        ids = [student["id"] for page in found for student in page["items"]]
        assert (len(set(ids)), {page["total"] for page in found}) == (count, {count}), query
    for query in ("lovelace", "lo", "lovelace am"):
        for sort in ("last_name", "-email", "status", "year"):
            asked: dict[str, Any] = {"q": query, "sort": sort, "limit": 200}
            with_year = client.get("/students", params={"year": 3} | asked).json()
            assert with_year["total"] == len(with_year["items"]) == sum(n % 12 == 2 for n in range(count))
            enrolled = client.get("/students", params={"status": "enrolled"} | asked).json()
            assert (enrolled["total"], len(enrolled["items"])) == (count, 200)
    rare = client.get("/students", params={"q": "name1049 ada"}).json()
    assert (rare["total"], rare["items"][0]["first_name"]) == (1, "Name1049")


def test_what_changes_is_found_as_it_is_now(url: str, client_of: ClientOf) -> None:
    _, client = client_of(url)
    path = client.post("/students/", json=a_student(last_name="Hopper")).headers["location"]

    def found(query: str, **asked: Any) -> int:
        total: int = client.get("/students", params={"q": query} | asked).json()["total"]
        return total

    client.patch(path, json={"last_name": "Murray"})
    assert (found("hopper"), found("murray"), found("mu")) == (0, 1, 1)
    client.delete(path)
    assert (found("murray"), found("mu"), found("murray", deleted=True), found("mu", deleted=True)) == (0, 0, 1, 1)
    client.patch(path, json={"last_name": "Hopper"})
    client.post(f"{path}/restore")
    assert (found("murray"), found("mu")) == (1, 1)


def test_words_and_filters_together_find_those_that_pass_all_of_them(url: str, client_of: ClientOf) -> None:
    app, client = client_of(url)
    statuses, programs = ("enrolled", "on_leave"), (None, "Law", "Fine Arts: A&B", "Право")
    people: list[dict[str, Any]] = [
        {"last_name": name, "status": status, "program": program, "year": year}
        for name in ("Ash", "Basho", "Müller=s")
        for status in statuses
        for program in programs
        for year in (None, 1, 11)
    ]
    add(app, *(a_student(**{key: value for key, value in one.items() if value is not None}) for one in people))
    filters: list[dict[str, Any]] = [
        {"status": "on_leave"},
        {"program": "law"},
        {"program": "FINE ARTS: a&b", "year": 11},
        {"year": 1},
    ]
    for word in ("a", "as", "=s", "sh ad", "ash", "ash o", "example", "u", "qq"):
        for asked in filters:
            wanted = [
                one
                for one in people
                if all(part in f"ada {fold(one['last_name'])} ada1@example.org" for part in word.split())
                and all(fold(str(one[name])) == fold(str(value)) for name, value in asked.items())
            ]
            for sort in ("last_name", "-email", "year"):
                for limit in (1, 200):
                    params: dict[str, Any] = dict(asked, q=word, limit=limit, sort=sort)
                    found = client.get("/students", params=params).json()
                    shown = min(limit, len(wanted))
                    assert (len(found["items"]), found["total"]) == (shown, len(wanted)), params


def test_who_changes_is_found_by_what_they_are_now(url: str, client_of: ClientOf) -> None:
    _, client = client_of(url)
    paths = [
        client.post("/students/", json=a_student(last_name=f"Ash{n}", program="Law", year=3)).headers["location"]
        for n in range(3)
    ]

    def counted(**asked: Any) -> int:
        total: int = client.get("/students", params={"q": "as", "limit": 1, **asked}).json()["total"]
        return total

    client.patch(paths[0], json={"year": 4, "program": None})
    assert (counted(year=3), counted(year=4), counted(program="Law")) == (2, 1, 2)
    client.patch(paths[0], json={"last_name": "Ashe", "status": "on_leave"})
    assert (counted(), counted(status="on_leave"), counted(status="enrolled")) == (3, 1, 2)
    client.post("/students/bulk", json={"action": "delete", "filter": {"q": "as", "year": 3}})
    assert (counted(), counted(year=3), counted(year=3, deleted=True)) == (1, 0, 2)
    client.post("/students/bulk", json={"action": "restore", "filter": {"q": "as", "deleted": True}})
    assert (counted(), counted(year=3), counted(program="Law", status="enrolled")) == (3, 2, 2)


def test_a_database_of_the_first_version_is_brought_up_with_its_students(empty_url: str, client_of: ClientOf) -> None:
    old = Database(empty_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with old.engine.connect() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
        conn.commit()
    student = rules.completed(a_student(last_name="Elder", student_number="S-1", status="on_leave"))
    system = {"id": "01a20bf1-572f-7000-bbfa-114481a5df36", "version": 2, "created_by": "x", "updated_by": "x"}
    row = student | keys_of(student) | system | {"created_at": ACTOR.now, "updated_at": ACTOR.now, "deleted_at": None}
    told = {"user_id": "u", "username": "x", "request_id": "r", "student_id": system["id"]}
    changes = [
        [{"field": "status", "old": None, "new": "enrolled"}],
        [{"field": "status", "old": "enrolled", "new": "on_leave"}],
    ]
    with old.write() as conn:
        tables = sa.MetaData()
        tables.reflect(conn)
        students_then, history_then = tables.tables["students"], tables.tables["student_history"]
        for dated in ("created_at", "updated_at"):
            row[dated] = (
                ACTOR.now if conn.dialect.name == "postgresql" else ACTOR.now.isoformat(timespec="microseconds")
            )
        conn.execute(sa.insert(students_then), row)
        for version, (action, change) in enumerate(zip(("created", "updated"), changes, strict=True), 1):
            entry = told | {"id": f"01a20bf1-572f-7000-bbfa-11448100000{version}", "version": version, "action": action}
            conn.execute(sa.insert(history_then), entry | {"at": row["created_at"], "changes": change})
    old.dispose()
    _, client = client_of(empty_url)
    assert client.get("/students?q=lder").json()["total"] == 1
    assert client.get("/students?q=ld&status=on_leave").json()["total"] == 1
    timeline = client.get(f"/students/{system['id']}/timeline").json()["items"]
    assert [(e["previous_status"], e["status"], e["on"]) for e in timeline] == [
        ("enrolled", "on_leave", ACTOR.now.date().isoformat()),
        (None, "enrolled", ACTOR.now.date().isoformat()),
    ]
    assert client.patch(f"/students/{system['id']}", json={"last_name": "Younger"}).status_code == 200
    assert client.get("/students?q=younger").json()["total"] == 1


def test_the_migrations_can_be_taken_back(empty_url: str, client_of: ClientOf) -> None:
    app, client = client_of(empty_url)
    client.post("/students/", json=a_student())
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with app.state.database.engine.connect() as conn:
        config.attributes["connection"] = conn
        command.downgrade(config, "0001")
        assert "batches" not in sa.inspect(conn).get_table_names()
        command.upgrade(config, "head")
        conn.commit()
    assert client.get("/students?q=lovelace").json()["total"] == 1
    assert client.get("/students?q=lo").json()["total"] == 1


@pytest.mark.postgres
def test_without_the_right_to_make_the_extension_search_works_all_the_same(
    postgres_url: str, client_of: ClientOf, capfd: pytest.CaptureFixture[str]
) -> None:
    owner = Database(postgres_url)
    name = f"plain_{make_url(postgres_url).database}"
    with owner.write() as conn:
        conn.execute(sa.text(f"CREATE ROLE {name} LOGIN"))
        conn.execute(sa.text(f"GRANT ALL ON SCHEMA public TO {name}"))
    app, client = client_of(postgres_url.replace("tests@", f"{name}@"))
    client.post("/students/", json=a_student(last_name="Łukasiewicz"))
    assert client.get("/students?q=UKASIE").json()["total"] == 1
    with app.state.database.read() as conn:
        assert conn.execute(sa.text("SELECT to_regclass('ix_students_search_text')")).scalar() is None
    # Once the extension is there, the next start makes the index.
    with owner.write() as conn:
        conn.execute(sa.text("CREATE EXTENSION pg_trgm"))
    search.prepare(app.state.database)
    with app.state.database.read() as conn:
        assert conn.execute(sa.text("SELECT to_regclass('ix_students_search_text')")).scalar() is not None
    owner.dispose()
