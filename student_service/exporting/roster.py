"""A OneRoster 1.2 archive in bulk mode: the students as users, each with the role of a student in one school.

It tells other systems who is there: names, address, number and grade, and our own fields as metadata. Guardians and
notes stay here. Cells are not neutralised: programs read them, not spreadsheets.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

from student_service.exporting.delimited import csv_pieces
from student_service.exporting.students import as_text
from student_service.repository import Student
from student_service.roster_format import (
    FIELDS_OF_COLUMNS,
    FILES,
    MANIFEST_HEADER,
    METADATA,
    ORGS_HEADER,
    ROLES_HEADER,
    USERS_HEADER,
)

WRITTEN = ("orgs", "roles", "users")
SCHOOL = "matricula-school"
ENABLED = ("applicant", "enrolled", "on_leave")
COLUMNS = (*USERS_HEADER, *METADATA)
SPOOLED_BYTES = 1 << 20


def roster_parts(students: Iterable[Student]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The files of a roster, in the order in which they are to be packed."""
    yield "manifest.csv", _plain([MANIFEST_HEADER, *_manifest()])
    school = {"sourcedId": SCHOOL, "name": "School", "type": "school"}
    yield "orgs.csv", _plain([ORGS_HEADER, [school.get(name, "") for name in ORGS_HEADER]])
    # Who is a student follows after the users, so the ids are noted on the way.
    with tempfile.SpooledTemporaryFile(SPOOLED_BYTES, mode="w+", encoding="ascii") as ids:

        def users() -> Iterator[Iterable[str]]:
            yield COLUMNS
            for student in students:
                ids.write(f"{student['id']}\n")
                yield _user(student)

        def roles() -> Iterator[Iterable[str]]:
            yield ROLES_HEADER
            ids.seek(0)
            for line in ids:
                yield _role(line.strip())

        yield "users.csv", _plain(users())
        yield "roles.csv", _plain(roles())


def _plain(rows: Iterable[Iterable[str]]) -> Iterator[bytes]:
    return csv_pieces(rows, start="", is_neutral=False)


def _manifest() -> Iterator[tuple[str, str]]:
    yield "manifest.version", "1.0"
    yield "oneroster.version", "1.2"
    for name in FILES:
        yield f"file.{name}", "bulk" if name in WRITTEN else "absent"
    yield "source.systemName", "Matricula"
    yield "source.systemCode", "matricula"


def _user(student: Student) -> list[str]:
    # In bulk mode, status and dateLastModified are empty.
    cells = {name: as_text(student[field]) for name, field in FIELDS_OF_COLUMNS.items()}
    cells |= {
        "sourcedId": student["id"],
        "enabledUser": "true" if student["status"] in ENABLED else "false",
        "username": student["email"],
        "grades": f"{student['year']:02d}" if student["year"] else "",
        "primaryOrgSourcedId": SCHOOL,
    }
    return [cells.get(name, "") for name in COLUMNS]


def _role(student_id: str) -> list[str]:
    cells = {
        "sourcedId": f"{student_id}-student", "userSourcedId": student_id, "roleType": "primary", "role": "student",
        "orgSourcedId": SCHOOL,
    }  # fmt: skip
    return [cells.get(name, "") for name in ROLES_HEADER]
