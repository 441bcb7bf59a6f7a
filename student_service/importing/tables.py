"""What every kind of file comes down to: a header and rows of text, each with its line in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_ROWS = 200_000
MAX_COLUMNS = 256
MAX_CELL_CHARACTERS = 32_767  # as many as a spreadsheet's cell can hold
MAX_PART_BYTES = 256 * 1024 * 1024  # of a file inside a zip archive, unpacked


class UnreadableFile(ValueError):
    """The file as a whole can't be used; the message is for the person who sent it and quotes nothing of it."""


class Row(NamedTuple):
    """One row of a file. ``mark`` is "delete" or "skip" where the file's format says so, or "known": only about whom we
    know already. ``original`` are the cells as they are in the file, where a format has others made of them.
    """

    line: int
    cells: list[str]
    mark: str = ""
    original: list[str] | None = None


@dataclass(frozen=True)
class FileTable:
    """A file that was opened: its format, the names of its columns, and its rows one after the other.

    ``fixed`` maps the columns of a format that leaves no choice to fields.
    """

    format: str
    header: list[str]
    rows: Iterator[Row]
    fixed: dict[str, str] | None = None
    is_neutralised: bool = True  # whether a leading apostrophe may protect a cell from being taken for a formula


def checked(rows: Iterator[Row]) -> Iterator[Row]:
    """Rows without the empty ones, within what a file may hold.

    Raises:
        UnreadableFile: There are too many rows or columns, or a cell is too long.
    """
    count = 0
    for row in rows:
        if not any(row.cells):
            continue
        count += 1
        if count > MAX_ROWS + 1:
            raise UnreadableFile(f"The file has more than {MAX_ROWS:,} rows; send it in parts.")
        if len(row.cells) > MAX_COLUMNS:
            raise UnreadableFile(f"Line {row.line} has more than {MAX_COLUMNS} columns.")
        if any(len(cell) > MAX_CELL_CHARACTERS for cell in row.cells):
            raise UnreadableFile(f"Line {row.line} has a cell of more than {MAX_CELL_CHARACTERS:,} characters.")
        yield row


def with_header(format: str, rows: Iterator[Row]) -> FileTable:
    """A table whose first row that isn't empty names the columns.

    Raises:
        UnreadableFile: There is none.
    """
    rows = checked(rows)
    first = next(rows, None)
    if first is None:
        raise UnreadableFile("The file is empty.")
    return FileTable(format, told_apart([name.strip() for name in first.cells]), rows)


def told_apart(names: list[str]) -> list[str]:
    """Names of columns of which none is there twice: a later one of the same name gets a number."""
    seen = set(names)
    found: list[str] = []
    for name in names:
        unique, count = name, 1
        while name and unique in found:
            count += 1
            numbered = f"{name} ({count})"
            unique = unique if numbered in seen else numbered
        found.append(unique)
    return found
