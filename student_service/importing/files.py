"""Tells what kind of file was sent, by what is in it, and opens it."""

from __future__ import annotations

from typing import IO

from student_service.importing.archive import Archive
from student_service.importing.delimited import open_delimited
from student_service.importing.roster import as_mended, open_roster
from student_service.importing.tables import FileTable, UnreadableFile
from student_service.importing.workbook import open_workbook

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def open_table(file: IO[bytes]) -> FileTable:
    """A file of students.

    Raises:
        UnreadableFile: It is none that we know, or can't be read. While rows are read, too.
    """
    file.seek(0)
    start = file.read(8)
    if not start:
        raise UnreadableFile("The file is empty.")
    if start.startswith(OLD_OFFICE):
        raise UnreadableFile("This is an old Excel file (.xls), or one with a password; save it as .xlsx or CSV.")
    if not start.startswith(ZIP):
        return as_mended(open_delimited(file))
    archive = Archive(file)
    if "xl/workbook.xml" in archive:
        return open_workbook(archive)
    if "manifest.csv" in archive:
        return open_roster(archive)
    raise UnreadableFile("The zip archive is neither an Excel workbook (.xlsx) nor OneRoster: it has no manifest.csv.")
