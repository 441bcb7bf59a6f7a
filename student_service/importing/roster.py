"""OneRoster 1.2 as CSV files in a zip archive (1EdTech, CSV Binding 1.2.1): the users who are students.

In bulk mode the archive is the whole roster; who isn't in it is left alone all the same. In delta mode it holds
changes: a user with the status ``tobedeleted`` is deleted, softly as always, and one whose roles haven't changed, so
that they aren't in it, counts where we know the student.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from student_service.importing.archive import Archive
from student_service.importing.columns import SOURCE, SOURCE_COLUMN
from student_service.importing.delimited import read_rows
from student_service.importing.tables import FileTable, Row, UnreadableFile, checked
from student_service.roster_format import FIELDS_OF_COLUMNS, ROLES_HEADER, USERS_HEADER

NEEDED = ("sourcedId", "givenName", "familyName")
FIELDS = {**FIELDS_OF_COLUMNS, SOURCE_COLUMN: SOURCE}
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
    is_delta = mode == "delta"
    roles = Roles() if is_delta and "roles.csv" not in archive else _roles(archive)
    rows = _rows(archive, "users.csv")
    header = next(rows, Row(1, [])).cells
    needed = NEEDED[:1] if is_delta else NEEDED  # a delta may say no more of a user than what has changed
    missing = [name for name in needed if name not in header]
    if missing:
        raise UnreadableFile(f"users.csv has no column {', '.join(missing)}.")
    return FileTable(
        "oneroster",
        header,
        _marked(checked(rows), header, roles, is_delta=is_delta),
        fixed=FIELDS,
        is_neutralised=False,
    )


def as_mended(table: FileTable) -> FileTable:
    """A CSV file, read as a roster's users if it is the file of those of its students that had errors."""
    if table.header[:2] != ["line", "errors"] or NEEDED[0] not in table.header:
        return table
    return replace(table, rows=_marked(table.rows, table.header, None, is_delta=False), fixed=FIELDS)


@dataclass(frozen=True)
class Roles:
    """Of whom ``roles.csv`` tells, by sourcedId: who is a student, who is or was one, and whoever is in it."""

    students: set[str] = field(default_factory=set)
    ever_students: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)

    def mark(self, user: str, *, is_gone: bool, is_delta: bool) -> str:
        """What becomes of a user; "" for a student."""
        if is_gone:
            is_other = user in self.named and user not in self.ever_students
            return "skip" if is_other else "delete" if is_delta else "bulk-delete"
        if user in self.students:
            return ""
        return "known" if is_delta and user not in self.named else "skip"


def _roles(archive: Archive) -> Roles:
    rows = _rows(archive, "roles.csv")
    header = next(rows, Row(1, [])).cells
    try:
        user, role, status = (header.index(name) for name in ("userSourcedId", "role", "status"))
    except ValueError:
        raise UnreadableFile(f"roles.csv has no header like {', '.join(ROLES_HEADER[:6])}, …") from None
    roles = Roles()
    for row in checked(rows):
        if len(row.cells) <= max(user, role, status):
            continue
        roles.named.add(row.cells[user])
        if row.cells[role] == "student":
            roles.ever_students.add(row.cells[user])
            if row.cells[status] != "tobedeleted":
                roles.students.add(row.cells[user])
    return roles


def _marked(rows: Iterator[Row], header: list[str], roles: Roles | None, *, is_delta: bool) -> Iterator[Row]:
    """Rows with what becomes of them; without roles all are students."""
    place = {name: header.index(name) for name in USERS_HEADER if name in header}
    grades = place.get("grades")
    for row in rows:
        cells = row.cells + [""] * (len(header) - len(row.cells))
        is_gone = "status" in place and cells[place["status"]] == "tobedeleted"
        if roles is not None:
            mark = roles.mark(cells[place["sourcedId"]], is_gone=is_gone, is_delta=is_delta)
        else:
            mark = "bulk-delete" if is_gone else ""
        if grades is not None:
            cells[grades] = _year(cells[grades])
        yield Row(row.line, cells, mark, row.cells)


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
