"""Student records at size: an import while others work, searches, lists, exports.

`python -m loadtests.compare.records` starts auth_service and student_service on an empty database of their own and
speaks to student_service's port.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import io
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import quote

from loadtests.compare.processes import GATEWAY_CORE, OTHER_CORE, Child, Children, free_port
from loadtests.plain_client import ask

PASSWORD = "nine bright records"  # noqa: S105 - of a user that lives as long as a benchmark
SYLLABLES = (
    "an",
    "be",
    "ka",
    "lo",
    "mi",
    "ra",
    "so",
    "ti",
    "vu",
    "ze",
    "el",
    "or",
    "is",
    "ma",
    "na",
    "da",
    "ri",
    "te",
    "shi",
)
PROGRAMS = ("Arts", "Sciences", "Law", "Music", "History of Art", "")
STATUSES = ("applicant", "enrolled", "enrolled", "enrolled", "on_leave", "graduated", "withdrawn")
READ_PAUSE_SECONDS, WRITE_PAUSE_SECONDS = 0.02, 0.1
LONGEST_SECONDS = 230.0
COLUMNS = ("first_name", "last_name", "email", "program", "year", "status", "date_of_birth", "guardian_1_name", "phone")


def made_up(count: int, seed: int = 7) -> tuple[bytes, list[tuple[str, str]]]:
    """A CSV file of students with made-up names, and the names."""
    chance = random.Random(seed)
    first = ["".join(chance.choices(SYLLABLES, k=chance.randint(2, 3))).title() for _ in range(900)] + ["Zoë", "Łukasz"]
    last = ["".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))).title() for _ in range(9000)] + ["Müller"]
    names = [(chance.choice(first), chance.choice(last)) for _ in range(count)]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for n, (given, family) in enumerate(names):
        email = f"s{n}.{family.lower()}@school.example"
        born = f"{chance.randint(2007, 2020)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
        known = (chance.choice(PROGRAMS), chance.randint(1, 12), chance.choice(STATUSES), born)
        writer.writerow((given, family, email, *known, f"{chance.choice(first)} {family}", f"+49 30 {n:06d}"))
    return text.getvalue().encode(), names


class Client:
    """One connection to student_service."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> tuple[int, bytes, str]:
        """Status, body and Location of an answer."""
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        self._connection.request(method, path, body=body, headers=headers)
        response = self._connection.getresponse()
        return response.status, response.read(), response.headers.get("Location", "")


@dataclass
class Timed:
    """Latencies in milliseconds, and the answers that weren't as wanted."""

    name: str
    milliseconds: list[float] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)

    def measure(self, wanted: int, call: Callable[[], tuple[int, bytes, str]]) -> bytes:
        """Time one call."""
        started = time.perf_counter()
        status, body, _ = call()
        self.milliseconds.append((time.perf_counter() - started) * 1000)
        if status != wanted:
            self.failed.append(status)
        return body

    def row(self) -> str:
        """A line of the table."""
        ordered = sorted(self.milliseconds)
        if not ordered:
            return f"{self.name:<58} none"
        at = [statistics.median(ordered), ordered[int(len(ordered) * 0.95)], ordered[-1]]
        tail = f"  failed: {len(self.failed)} {sorted(set(self.failed))}" if self.failed else ""
        return f"{self.name:<58} {len(ordered):>5} {at[0]:>9.1f} {at[1]:>9.1f} {at[2]:>9.1f}{tail}"


SHORT = ("2 letters", "1 letter")
HEADING = f"{'milliseconds':<58} {'calls':>5} {'median':>9} {'p95':>9} {'longest':>9}"


@dataclass
class Bed:
    """The running services and who is signed in."""

    students: Child
    token: str

    def client(self) -> Client:
        return Client(self.students.port, self.token)


@contextmanager
def laid(database: str | None) -> Iterator[Bed]:
    """The two services on an empty database, signed in as the administrator."""
    with tempfile.TemporaryDirectory(prefix="matricula-records-") as folder, Children(Path(folder)) as children:
        auth, own = free_port(), free_port()
        common = {
            "HOST": "127.0.0.1", "VAR_DIR": folder, "BOOTSTRAP_ADMIN_PASSWORD": PASSWORD, "LOG_FORMAT": "json",
            "AUTH_SERVICE_URL": f"http://127.0.0.1:{auth}", "ACCESS_TOKEN_TTL": "86400",
        }  # fmt: skip
        if database:
            common["STUDENT_DATABASE_URL"] = database
        python = [sys.executable, "-m"]
        environment = common | {"PORT": str(auth)}
        children.start("auth", [*python, "auth_service"], cores=OTHER_CORE, port=auth, environment=environment)
        environment = common | {"PORT": str(own)}
        students = children.start(
            "students", [*python, "student_service"], cores=GATEWAY_CORE, port=own, environment=environment
        )
        signed_in = _until_ready(auth, own)
        yield Bed(students, signed_in)


def _until_ready(auth: int, own: int) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if ask("GET", f"http://127.0.0.1:{own}/readyz").status == 200:
            body = {"username": "admin", "password": PASSWORD}
            answer = ask("POST", f"http://127.0.0.1:{auth}/auth/login", body=body)
            if answer.status == 200:
                return str(answer.json()["access_token"])
        time.sleep(0.2)
    raise SystemExit("the services didn't get ready")


class Others:
    """People who list and add students meanwhile."""

    def __init__(self, bed: Bed, when: str) -> None:
        self.reads, self.writes = Timed(f"list, {when}"), Timed(f"add a student, {when}")
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(bed.client(),)),
            threading.Thread(target=self._write, args=(bed.client(), when)),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self, client: Client) -> None:
        while not self._stop.wait(READ_PAUSE_SECONDS):
            self.reads.measure(200, lambda: client.ask("GET", "/students/"))

    def _write(self, client: Client, when: str) -> None:
        count = 0
        while not self._stop.wait(WRITE_PAUSE_SECONDS):
            count += 1
            email = f"meanwhile{count}.{when.replace(' ', '.')}@other.example"
            body = json.dumps({"first_name": "Other", "last_name": "Person", "email": email}).encode()
            self.writes.measure(201, lambda body=body: client.ask("POST", "/students/", body))  # type: ignore[misc]  # bound now


def followed(bed: Bed, where: str) -> tuple[float, int]:
    """Wait until a batch is through: seconds, and the most memory student_service had meanwhile."""
    client, started, most = bed.client(), time.monotonic(), 0
    while True:
        batch = json.loads(client.ask("GET", where)[1])
        most = max(most, bed.students.resident_bytes())
        if not batch["state"].endswith("ing"):
            print(f"  {batch['state']}: {batch['counts']} {batch['message'] or ''}")
            return time.monotonic() - started, most
        if time.monotonic() - started > LONGEST_SECONDS:
            raise SystemExit(f"not through after {LONGEST_SECONDS:.0f} seconds: {batch}")
        time.sleep(0.1)


def megabytes(count: float) -> str:
    """A count of bytes for people."""
    return f"{count / 1e6:.0f} MB"


def import_while_others_work(bed: Bed, content: bytes) -> str:
    """The import, with its figures printed; where it can be asked for."""
    client = bed.client()
    before = bed.students.resident_bytes()
    with Others(bed, "nobody imports") as calm:
        time.sleep(4)
    started = time.monotonic()
    with Others(bed, "while importing") as busy:
        status, body, where = client.ask("POST", "/students/import", content, "text/csv")
        print(f"POST /students/import of {megabytes(len(content))}: {status} after {time.monotonic() - started:.1f} s")
        if status not in (201, 202):
            raise SystemExit(body.decode()[:500])
        _, most = followed(bed, where)
    print(f"import through after {time.monotonic() - started:.1f} s")
    print(f"memory of student_service: {megabytes(before)} before, at most {megabytes(most)} meanwhile")
    print(HEADING)
    for timed in (calm.reads, busy.reads, calm.writes, busy.writes):
        print(timed.row())
    return where


def searches(names: list[tuple[str, str]], rounds: int) -> dict[str, list[str]]:
    """What people type, by kind."""
    chance = random.Random(11)
    people = [chance.choice(names) for _ in range(rounds)]
    return {
        "a last name": [last for _, last in people],
        "the beginning of a last name, 3 letters": [last[:3] for _, last in people],
        "the inside of a last name, 4 letters": [last[1:5] for _, last in people if len(last) > 4],
        "first and last name": [f"{first} {last}" for first, last in people],
        "an e-mail address": [f"s{chance.randrange(len(names))}.{last.lower()}" for _, last in people],
        "nobody": [f"qx{n}zz" for n in range(rounds)],
        "what everybody has (school)": ["school"] * (rounds // 4),
        "2 letters": [last[:2] for _, last in people[: rounds // 2]],
        "1 letter": [last[:1] for _, last in people[: rounds // 4]],
    }


def search(bed: Bed, names: list[tuple[str, str]], rounds: int) -> None:
    """Searches and lists, with their figures printed."""
    client = bed.client()
    print(HEADING)
    long, short = Timed("search: all with three letters or more"), Timed("search: all with one or two letters")
    for kind, queries in searches(names, rounds).items():
        timed = Timed(f"search: {kind}")
        for query in queries:
            timed.measure(200, lambda query=query: client.ask("GET", f"/students/?q={quote(query)}"))  # type: ignore[misc]  # bound now
        print(timed.row())
        (short if kind in SHORT else long).milliseconds += timed.milliseconds
    print(long.row())
    print(short.row())
    for name, path in {
        "list, first page": "/students/",
        "list, sorted by -updated_at": "/students/?sort=-updated_at",
        "list, status=enrolled": "/students/?status=enrolled",
        "list, year=3 and program=Law": "/students/?year=3&program=Law",
        "list, status=enrolled, sorted by -updated_at": "/students/?status=enrolled&sort=-updated_at",
        "list, year=3, sorted by first_name": "/students/?year=3&sort=first_name",
        "search with a filter: q=anka, year=3": "/students/?q=anka&year=3",
        "search with a filter: q=ma, status=enrolled": "/students/?q=ma&status=enrolled",
        "the same, sorted by -updated_at": "/students/?q=ma&status=enrolled&sort=-updated_at",
        "search with a filter: q=a, program=Law, year=3": "/students/?q=a&program=Law&year=3",
        "stats": "/students/stats",
    }.items():
        timed = Timed(name)
        for _ in range(rounds // 2):
            timed.measure(200, lambda path=path: client.ask("GET", path))  # type: ignore[misc]  # bound now
        print(timed.row())


def export_and_undo(bed: Bed, where: str) -> None:
    """Each format once, then the import taken back."""
    client = bed.client()
    for format in ("csv", "xlsx", "oneroster"):
        started = time.monotonic()
        status, body, _ = client.ask("GET", f"/students/export?format={format}")
        print(f"export {format}: {status}, {megabytes(len(body))} in {time.monotonic() - started:.1f} s")
    with Others(bed, "while undoing") as busy:
        client.ask("POST", f"{where}/undo")
        seconds, most = followed(bed, where)
    print(f"undo through after {seconds:.1f} s, memory at most {megabytes(most)}")
    print(HEADING)
    print(busy.reads.row())
    print(busy.writes.row())


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.compare.records", description=__doc__)
    parser.add_argument("--students", type=int, default=100_000)
    parser.add_argument("--database", help="postgresql://… of an empty database; a new SQLite file by default")
    parser.add_argument("--rounds", type=int, default=200, help="searches of each kind")
    parser.add_argument("--only-search", action="store_true", help="leave out exports and the undo")
    chosen = parser.parse_args()
    content, names = made_up(chosen.students)
    with laid(chosen.database) as bed:
        where = import_while_others_work(bed, content)
        search(bed, names, chosen.rounds)
        if not chosen.only_search:
            export_and_undo(bed, where)


if __name__ == "__main__":
    main()
