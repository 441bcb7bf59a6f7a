"""A real PostgreSQL of the tests' own, on a Unix socket, gone when they are."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql


def find_binaries() -> Path | None:
    """The folder with initdb and postgres, or None when PostgreSQL isn't installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(entry) for entry in os.environ.get("PATH", "").split(":")]
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def name_in(url: str) -> str:
    """The name of a URL's database."""
    return urlsplit(url).path.removeprefix("/")


class Postgres:
    """One server process; `database()` makes a database in it, empty or the copy of another."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="matricula-pg-"))
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        self._count = 0
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        options = (
            f"-c listen_addresses='' -c unix_socket_directories='{self._folder}' -c fsync=off -c max_connections=200"
        )
        self._run("pg_ctl", "-D", str(data), "-o", options, "-w", "-l", str(self._folder / "log"), "start")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        subprocess.run(
            command, check=True, user=self._user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "USER": self._user or getpass.getuser()},
        )  # fmt: skip

    def database(self, template: str = "template1") -> str:
        """The URL of a new database; nobody may be connected with its template."""
        self._count += 1
        name = f"test_{self._count}"
        with self._connection() as connection:
            # Copying files takes half as long as writing all of them to the log, the default since PostgreSQL 15.
            copying = sql.SQL("STRATEGY file_copy" if connection.info.server_version >= 150_000 else "")
            names = sql.Identifier(name), sql.Identifier(template)
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} {}").format(*names, copying))
        return f"postgresql://tests@/{name}?host={self._folder}"

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected with it."""
        with self._connection() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connection(self) -> psycopg.Connection:
        return psycopg.connect(f"postgresql://tests@/postgres?host={self._folder}", autocommit=True)

    def stop(self) -> None:
        try:
            self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
