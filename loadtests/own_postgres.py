"""A PostgreSQL for the time of a measurement, durable as a real one is, on a Unix socket of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

FOLDER_PREFIX = "matricula-load-"


def find_binaries() -> Path:
    """The folder of initdb and postgres.

    Raises:
        FileNotFoundError: PostgreSQL isn't installed.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(entry) for entry in os.environ.get("PATH", "").split(":")]
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise FileNotFoundError("PostgreSQL's initdb and postgres were not found")


def settle(urls: dict[str, str]) -> None:
    """Do at once what autovacuum does within a minute of a large import: statistics, and the visibility map.

    Without them PostgreSQL sorts every student for each page and looks at every row to count them.
    """
    for url in urls.values():
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")


@contextmanager
def own_postgres(*, wanted: bool) -> Iterator[dict[str, str]]:
    """The URLs of two empty databases, `auth` and `students`; nothing when it isn't wanted."""
    if not wanted:
        yield {}
        return
    binaries = find_binaries()
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))  # a socket's path must be short
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - our own commands
            [str(binaries / program), *arguments],
            check=True,
            user=user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "USER": user or getpass.getuser()},
        )

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "load", "-A", "trust", "-E", "UTF8", "--locale=C")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c max_connections=200"
    run("pg_ctl", "-D", data, "-o", options, "-w", "-l", str(folder / "log"), "start")
    try:
        for name in ("auth", "students"):
            run("createdb", "-h", str(folder), "-U", "load", name)
        yield {name: f"postgresql://load@/{name}?host={folder}" for name in ("auth", "students")}
    finally:
        run("pg_ctl", "-D", data, "-m", "fast", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
