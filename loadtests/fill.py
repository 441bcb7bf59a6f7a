"""Puts students into a system: `python -m loadtests.fill 10000 --host http://127.0.0.1:8000`.

They are the same every time (numbers LT-000001 and up), so filling a filled system changes nothing.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import sys
import time
from typing import Any

from loadtests.plain_client import Plain, Unreachable, ask, sign_out

FIRST_NAMES = (
    "Ada", "Aiko", "Amara", "Anders", "Carmen", "Chen", "Daniel", "Elif", "Emeka", "Fatima", "Giulia", "Hassan",
    "Ingrid", "Ivan", "Jonas", "José", "Kofi", "Lena", "Linh", "Maja", "Marek", "Mina", "Noah", "Olga", "Omar", "Priya",
    "Sara", "Søren", "Tomás", "Yara",
)  # fmt: skip
LAST_NAMES = (
    "Adeyemi", "Andersen", "Bianchi", "Brown", "Çelik", "Costa", "Dubois", "Eriksson", "Fischer", "García", "Haddad",
    "Hansen", "Ivanova", "Jensen", "Kim", "Kowalski", "Lee", "Martin", "Müller", "Nguyen", "Novak", "Okafor", "Patel",
    "Rossi", "Sato", "Schmidt", "Silva", "Smith", "Tanaka", "Wang",
)  # fmt: skip
PROGRAMS = ("Mathematics", "Biology", "History", "Music", "Computer Science", "Languages", "Physics", "Arts")
COLUMNS = ("student_number", "first_name", "last_name", "email", "program", "year", "status")
ROWS_PER_FILE = 10_000
POLL_SECONDS = 0.2
LONGEST_SECONDS = 300.0


class NotFilled(Exception):
    """The system didn't take the students; the message says why."""


def student(number: int, chance: random.Random) -> dict[str, Any]:
    """The student of this number."""
    status = "enrolled" if chance.random() < 0.8 else chance.choice(("applicant", "on_leave", "graduated"))
    return {
        "student_number": f"LT-{number:06}",
        "first_name": chance.choice(FIRST_NAMES),
        "last_name": chance.choice(LAST_NAMES),
        "email": f"student{number}@load.example",
        "program": chance.choice(PROGRAMS),
        "year": chance.randint(1, 12),
        "status": status,
    }


def students(count: int) -> list[dict[str, Any]]:
    """The first so many."""
    chance = random.Random(20261124)
    return [student(number, chance) for number in range(1, count + 1)]


def fill(host: str, token: str, count: int) -> float:
    """Import the first `count` students; returns how many seconds it took.

    Raises:
        NotFilled: The system refuses them, or isn't done in time.
    """
    began = time.monotonic()
    everyone = students(count)
    for start in range(0, count, ROWS_PER_FILE):
        _import(host, token, everyone[start : start + ROWS_PER_FILE])
    return time.monotonic() - began


def _import(host: str, token: str, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    answer = _asked(
        "POST",
        f"{host}/students/import?mode=upsert",
        token=token,
        content=text.getvalue().encode(),
        headers={"Content-Type": "text/csv; charset=utf-8"},
        timeout_seconds=LONGEST_SECONDS,
    )
    if answer.status == 202:
        _wait_for_batch(host + answer.headers["location"], token)
    elif answer.status not in (200, 201):
        raise NotFilled(f"importing students failed: {answer.told()}")


def _wait_for_batch(url: str, token: str) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        answer = _asked("GET", url, token=token)
        state = answer.json()["state"] if answer.status == 200 else answer.told()
        if state == "done":
            return
        if answer.status != 200 or state in ("rejected", "failed"):
            raise NotFilled(f"importing students failed: {state}")
        time.sleep(POLL_SECONDS)
    raise NotFilled(f"importing students wasn't done after {LONGEST_SECONDS:.0f} seconds")


def _asked(*arguments: Any, **options: Any) -> Plain:
    try:
        return ask(*arguments, **options)
    except Unreachable as error:
        raise NotFilled(str(error)) from None


def sign_in(host: str, username: str, password: str) -> str:
    """An access token.

    Raises:
        NotFilled: It is refused.
    """
    answer = _asked("POST", f"{host}/auth/login", body={"username": username, "password": password})
    if answer.status != 200:
        raise NotFilled(f"{username} can't sign in at {host}: {answer.told()}")
    token: str = answer.json()["access_token"]
    return token


def main() -> int:
    """Fill the system that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.fill", description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--host", default="http://127.0.0.1:8000")
    parser.add_argument("--username", default="admin")
    parser.add_argument("--password", default="admin")
    arguments = parser.parse_args()
    host = arguments.host.rstrip("/")
    try:
        token = sign_in(host, arguments.username, arguments.password)
        try:
            seconds = fill(host, token, arguments.count)
        finally:
            sign_out(host, token)
    except NotFilled as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{arguments.count:,} students are there after {seconds:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
