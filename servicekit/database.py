"""One way to use SQLite and PostgreSQL: SQLAlchemy Core, blocking, in a worker thread.

SQLite runs in WAL with synchronous=FULL, so that what was answered survives a power cut, and has one writer at
a time across all processes of a machine: writes take a file lock before BEGIN IMMEDIATE, so nobody is
turned away busy. PostgreSQL is told deadlines for statements and locks, and has one to answer at all. A database that
is gone, hung, locked or too slow is ``ServiceUnavailable``.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.types import TypeDecorator

from servicekit.postgres_connection import AnsweringConnection
from servicekit.problems import ServiceUnavailable

LOCK_SECONDS = 5.0
STATEMENT_SECONDS = 10.0
ANSWER_SECONDS = STATEMENT_SECONDS + 1  # a server that hasn't even ended the statement by then is hung
PING_SECONDS = 2.0  # for a connection that was idle
POOL_SECONDS = 5.0
MIGRATION_LOCK = 0x4D617472  # an application-wide advisory lock number ("Matr")

# The standard library takes three times as long over the same columns.
JSON_BY_ORJSON: dict[str, Any] = {
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite keeps it as text that sorts by time, PostgreSQL as timestamptz."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        return dialect.type_descriptor(sa.String(32) if dialect.name == "sqlite" else sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the database")
        value = value.astimezone(UTC)
        return value.isoformat(timespec="microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


def utc_now() -> datetime:
    """Now, aware and in UTC."""
    return datetime.now(UTC)


class Database:
    """An engine and its two kinds of transaction, and what PostgreSQL's upkeep needs.

    Args:
        url: ``sqlite:////abs/path.db`` or ``postgresql://user:password@host/name``.
        pool_size: Connections kept and used at most.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = normalise_url(url)
        self.dialect = "sqlite" if self.url.get_backend_name() == "sqlite" else "postgresql"
        self._is_patient = False
        self._write_lock = threading.Lock()
        self._lock_file: IO[bytes] | None = None
        self.engine = self._sqlite_engine(pool_size) if self.dialect == "sqlite" else self._postgresql_engine(pool_size)

    @property
    def is_in_memory(self) -> bool:
        return self.dialect == "sqlite" and self.url.database in (None, "", ":memory:")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: one snapshot on SQLite, READ COMMITTED on PostgreSQL."""
        with unavailable_when_gone(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; commits when the block ends, rolls back when it raises."""
        with unavailable_when_gone():
            if self.dialect != "sqlite":
                with self.engine.begin() as connection:
                    yield connection
                return
            with self._sole_writer(), self.engine.connect() as connection:
                connection.info["immediate"] = True
                try:
                    with connection.begin():
                        yield connection
                finally:
                    connection.info.pop("immediate", None)

    @contextmanager
    def upkeep(self, deadline_seconds: float) -> Iterator[Connection]:
        """A connection of its own without transactions, for VACUUM, which can't be in one; PostgreSQL only.

        Its deadline for statements is another one, so it is never among those that requests use.
        """
        engine = sa.create_engine(
            self.url, hide_parameters=True, poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT",
            connect_args=_postgresql_arguments(deadline_seconds),
        )  # fmt: skip
        with unavailable_when_gone(), engine.connect() as connection:
            yield connection

    @contextmanager
    def patience(self) -> Iterator[None]:
        """While a service starts: connections taken in here wait for an answer as long as it takes."""
        self._is_patient = True
        try:
            yield
        finally:
            self._is_patient = False

    def ping(self) -> None:
        """Readiness.

        Raises:
            ServiceUnavailable: The database doesn't answer.
        """
        with self.read() as connection:
            connection.execute(sa.text("SELECT 1"))

    def dispose(self) -> None:
        self.engine.dispose()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _sqlite_engine(self, pool_size: int) -> Engine:
        options: dict[str, Any] = {"connect_args": {"check_same_thread": False, "timeout": LOCK_SECONDS}}
        if self.is_in_memory:
            options["poolclass"] = sa.pool.StaticPool
        else:
            Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
            options |= {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": POOL_SECONDS}
        engine = sa.create_engine(self.url, hide_parameters=True, **JSON_BY_ORJSON, **options)

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _: Any) -> None:
            # Python's own transaction control would begin late and deferred; we say BEGIN ourselves.
            connection.isolation_level = None
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                f"busy_timeout={int(LOCK_SECONDS * 1000)}",
            ):
                connection.execute(f"PRAGMA {pragma}").close()
            connection.execute("PRAGMA cache_size=-16000").close()

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            # A read lock that grows into a write lock ignores busy_timeout: writers say so at the start.
            connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get("immediate") else "BEGIN")

        return engine

    def _postgresql_engine(self, pool_size: int) -> Engine:
        engine = sa.create_engine(
            self.url, hide_parameters=True, pool_size=pool_size, max_overflow=0, pool_timeout=POOL_SECONDS,
            pool_pre_ping=True, pool_recycle=1800, connect_args=_postgresql_arguments(STATEMENT_SECONDS),
            **JSON_BY_ORJSON,
        )  # fmt: skip

        @event.listens_for(engine, "do_connect")
        def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> AnsweringConnection:
            return AnsweringConnection.connect(*arguments, **options)

        @event.listens_for(engine, "checkout")
        def _begin_use(connection: AnsweringConnection, *_: Any) -> None:
            connection.answer_seconds = None if self._is_patient else ANSWER_SECONDS

        @event.listens_for(engine, "checkin")
        def _end_use(connection: AnsweringConnection | None, _: Any) -> None:
            if connection is not None:  # it was not closed meanwhile; the next to use it pings it first
                connection.answer_seconds = PING_SECONDS

        return engine

    @contextmanager
    def _sole_writer(self) -> Iterator[None]:
        """Be the only writer among this process's threads, then among all processes."""
        deadline = time.monotonic() + LOCK_SECONDS
        if not self._write_lock.acquire(timeout=LOCK_SECONDS):
            raise ServiceUnavailable("The database is busy.", retry_after=1)
        try:
            if self.is_in_memory:
                yield
                return
            if self._lock_file is None:
                self._lock_file = Path(f"{self.url.database}.lock").open("ab")  # noqa: SIM115 - kept open until dispose()
            self._flock(self._lock_file.fileno(), deadline)
            try:
                yield
            finally:
                fcntl.flock(self._lock_file.fileno(), fcntl.LOCK_UN)
        finally:
            self._write_lock.release()

    @staticmethod
    def _flock(descriptor: int, deadline: float) -> None:
        # flock has no deadline of its own, so it is asked again after a growing pause.
        pause = 0.0005
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServiceUnavailable("The database is busy.", retry_after=1) from None
                time.sleep(pause)
                pause = min(pause * 2, 0.02)
            else:
                return


def _postgresql_arguments(statement_seconds: float) -> dict[str, Any]:
    settings = f"-c statement_timeout={int(statement_seconds * 1000)} -c lock_timeout={int(LOCK_SECONDS * 1000)}"
    settings += " -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
    return {
        "connect_timeout": 3,
        "options": settings,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": 10_000,
        # A transaction pooler in between has no place for prepared statements.
        "prepare_threshold": None,
    }


@contextmanager
def unavailable_when_gone() -> Iterator[None]:
    """Let a database that is gone, locked or too slow surface as 503; other errors pass unchanged."""
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeout as error:
        raise ServiceUnavailable("The database is busy.", retry_after=1) from error
    except OperationalError as error:
        raise ServiceUnavailable("The database can't be reached right now.", retry_after=2) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise ServiceUnavailable("The database can't be reached right now.", retry_after=2) from error
        raise
    except SQLAlchemyError:
        raise


def normalise_url(url: str) -> URL:
    """A URL with the driver that we use.

    Raises:
        ValueError: Neither SQLite nor PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
        raise ValueError(
            "is not a database URL such as sqlite:////abs/path.db or postgresql://user@host/name"
        ) from None
    match parsed.get_backend_name():
        case "sqlite":
            return parsed.set(drivername="sqlite")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise ValueError(f"{other} is not supported; use sqlite:////abs/path.db or postgresql://user@host/name")


def migrate(database: Database, migrations: Path) -> None:
    """Bring the schema to the newest revision; of many starters one does it and the others wait.

    Args:
        migrations: The service's alembic folder (``env.py``, ``versions/``).
    """
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with database.patience(), _migration_lock(database) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _migration_lock(database: Database) -> Iterator[Connection]:
    if database.dialect == "postgresql":
        with database.engine.connect() as connection:
            connection.execute(sa.text("SET lock_timeout = 0"))
            connection.execute(sa.text("SET statement_timeout = 0"))
            connection.execute(sa.text("SELECT pg_advisory_lock(:n)"), {"n": MIGRATION_LOCK})
            connection.commit()
            try:
                yield connection
                connection.commit()
            finally:
                connection.rollback()
                connection.execute(sa.text("SELECT pg_advisory_unlock(:n)"), {"n": MIGRATION_LOCK})
                connection.commit()
                connection.invalidate()  # its session settings are not for requests
        return
    if database.is_in_memory:
        with database.engine.connect() as connection:
            yield connection
            connection.commit()
        return
    with Path(f"{database.url.database}.migrate.lock").open("ab") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        with database.engine.connect() as connection:
            yield connection
            connection.commit()


def is_unique_violation(error: IntegrityError) -> bool:
    """Whether an IntegrityError is about a unique constraint (PostgreSQL 23505, SQLite's text)."""
    return getattr(error.orig, "sqlstate", None) == "23505" or "UNIQUE constraint failed" in str(error.orig)


def database_in(state_dir: Path, name: str) -> str:
    """The default SQLite URL of a service."""
    return f"sqlite:///{os.fspath((state_dir / name).resolve())}"
