"""OneRoster 1.2 as CSV files in a zip archive (1EdTech, CSV Binding 1.2.1): the users who are students.

In bulk mode the archive is the whole roster; who isn't in it is left alone all the same. In delta mode it holds
changes, and a user with the status ``tobedeleted`` is deleted, softly as always.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from student_service.importing.archive import Archive
from student_service.importing.delimited import read_rows
from student_service.importing.tables import FileTable, Row, UnreadableFile, checked
from student_service.roster_format import FIELDS_OF_COLUMNS, ROLES_HEADER, USERS_HEADER

GRADE = re.compile(r"0?([1-9]|1[0-2])")
MAX_MANIFEST_LINES = 1_000


def open_roster(archive: Archive) -> FileTable:
    """The students among the users of a roster.

    Raises:
        UnreadableFile: It isn't a OneRoster 1.2 archive, or files or columns are missing. While rows are read, too.
    """
    manifest = dict(row.cells[:2] for row in _rows(archive, "manifest.csv", MAX_MANIFEST_LINES) if len(row.cells) >= 2)
    version = manifest.get("oneroster.version", "").strip()
    if version not in ("1.2", "v1.2", "1.2.1"):
        raise UnreadableFile("The archive isn't OneRoster 1.2: its manifest.csv says another version, or none.")
    mode = manifest.get("file.users", "").strip()
    if mode not in ("bulk", "delta"):
        raise UnreadableFile("The archive has no users: file.users in manifest.csv is neither bulk nor delta.")
    students = _students(archive)
    rows = _rows(archive, "users.csv")
    header = next(rows, Row(1, [])).cells
    missing = [name for name in ("sourcedId", "givenName", "familyName") if name not in header]
    if missing:
        raise UnreadableFile(f"users.csv has no column {', '.join(missing)}.")
    return FileTable(
        "oneroster",
        header,
        _marked(checked(rows), header, students, is_delta=mode == "delta"),
        fixed=FIELDS_OF_COLUMNS,
        is_neutralised=False,
    )


def _students(archive: Archive) -> set[str]:
    """The sourcedIds of the users who have the role of a student."""
    rows = _rows(archive, "roles.csv")
    header = next(rows, Row(1, [])).cells
    try:
        user, role, status = (header.index(name) for name in ("userSourcedId", "role", "status"))
    except ValueError:
        raise UnreadableFile(f"roles.csv has no header like {', '.join(ROLES_HEADER[:6])}, …") from None
    return {
        row.cells[user]
        for row in checked(rows)
        if len(row.cells) > max(user, role, status)
        and row.cells[role] == "student"
        and row.cells[status] != "tobedeleted"
    }


def _marked(rows: Iterator[Row], header: list[str], students: set[str], *, is_delta: bool) -> Iterator[Row]:
    place = {name: header.index(name) for name in USERS_HEADER if name in header}
    grades = place.get("grades")
    for row in rows:
        cells = row.cells + [""] * (len(header) - len(row.cells))
        status = cells[place["status"]] if "status" in place else ""
        mark = ""
        if status == "tobedeleted":
            mark = "delete" if is_delta else "bulk-delete"
        elif cells[place["sourcedId"]] not in students:
            mark = "skip"
        if grades is not None:
            cells[grades] = _year(cells[grades])
        yield Row(row.line, cells, mark)


def _year(grades: str) -> str:
    """The year of the first grade that is one; kindergarten and the like have none."""
    for grade in grades.split(","):
        match = GRADE.fullmatch(grade.strip())
        if match:
            return match[1]
    return ""


def _rows(archive: Archive, name: str, at_most: int | None = None) -> Iterator[Row]:
    with archive.open(name) as part:
        text = io.TextIOWrapper(part, encoding="utf-8-sig", newline="")
        for count, row in enumerate(read_rows(text, ",")):
            if at_most is not None and count >= at_most:
                raise UnreadableFile(f"{name} is too long.")
            yield row
