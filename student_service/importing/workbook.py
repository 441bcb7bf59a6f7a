"""Excel workbooks (.xlsx, ECMA-376 Part 1): the first visible sheet, a row at a time.

Only what a table of text needs: texts, numbers, dates and truth values. Formulas count by their last result. A document
type declaration is refused, so no XML entity is ever expanded.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import IO
from xml.parsers import expat

from student_service.importing.archive import Archive
from student_service.importing.tables import (
    MAX_CELL_CHARACTERS,
    MAX_COLUMNS,
    FileTable,
    Row,
    UnreadableFile,
    with_header,
)

CHUNK = 1 << 16
MAX_TEXTS_BYTES = 64 * 1024 * 1024  # of the shared texts, which are held in memory
MAX_SMALL_PART_BYTES = 4 * 1024 * 1024
DATE_FORMATS = {*range(14, 18), 22, *range(27, 37), *range(50, 59)}  # §18.8.30, those that are dates everywhere
NOT_CODE = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")

Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]


def open_workbook(archive: Archive) -> FileTable:
    """The first visible sheet as a table.

    Raises:
        UnreadableFile: It can't be read. While rows are read, too.
    """
    sheet, is_1904 = _first_sheet(archive)
    texts = _shared_texts(archive) if "xl/sharedStrings.xml" in archive else []
    dates = _date_styles(archive) if "xl/styles.xml" in archive else set()
    return with_header("xlsx", _Sheet(texts, dates, is_1904=is_1904).rows(archive.open(sheet)))


def _first_sheet(archive: Archive) -> tuple[str, bool]:
    """The part with the first visible sheet, and whether days are counted from 1904."""
    sheets: list[str] = []
    is_1904 = False
    targets: dict[str, str] = {}

    def in_workbook(name: str, attributes: dict[str, str]) -> None:
        nonlocal is_1904
        if name == "workbookPr":
            is_1904 = attributes.get("date1904", "0") in ("1", "true", "on")
        elif name == "sheet" and attributes.get("state", "visible") == "visible":
            sheets.extend(value for key, value in attributes.items() if key.endswith(":id"))

    def in_relations(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and "Id" in attributes:
            targets[attributes["Id"]] = attributes.get("Target", "")

    _parse(archive.open("xl/workbook.xml", MAX_SMALL_PART_BYTES), in_workbook)
    _parse(archive.open("xl/_rels/workbook.xml.rels", MAX_SMALL_PART_BYTES), in_relations)
    for relation in sheets:
        if relation in targets:
            part = posixpath.normpath(posixpath.join("/xl", targets[relation])).lstrip("/")
            if part in archive:
                return part, is_1904
    raise UnreadableFile("The workbook has no visible sheet.")


def _shared_texts(archive: Archive) -> list[str]:
    texts: list[str] = []
    pieces: list[str] = []
    path: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        path.append(name)
        if name == "si":
            pieces.clear()

    def end(name: str) -> None:
        path.pop()
        if name == "si":
            texts.append(_unescaped("".join(pieces)))

    def data(text: str) -> None:
        if path[-1] == "t" and "rPh" not in path:  # rPh says how a text is pronounced
            pieces.append(text)

    _parse(archive.open("xl/sharedStrings.xml", MAX_TEXTS_BYTES), start, end, data)
    return texts


def _date_styles(archive: Archive) -> set[int]:
    """The styles whose numbers are days."""
    codes: dict[int, str] = {}
    dates: set[int] = set()
    path: list[str] = []
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        path.append(name)
        if name == "numFmt":
            codes[_whole(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif name == "xf" and path[-2:-1] == ["cellXfs"]:
            number = _whole(attributes.get("numFmtId"))
            code = NOT_CODE.sub("", codes.get(number, "")).lower()
            if number in DATE_FORMATS or "y" in code or "d" in code:
                dates.add(count)
            count += 1

    def end(_: str) -> None:
        path.pop()

    _parse(archive.open("xl/styles.xml", MAX_SMALL_PART_BYTES), start, end)
    return dates


class _Sheet:
    """Collects the rows of one sheet while its XML comes in."""

    def __init__(self, texts: list[str], dates: set[int], *, is_1904: bool) -> None:
        self._texts = texts
        self._dates = dates
        self._epoch = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)  # noqa: DTZ001 - a day has no zone
        self._done: list[Row] = []
        self._line = 0
        self._cells: list[str] = []
        self._column = 0
        self._type, self._style = "n", 0
        self._pieces: list[str] = []
        self._length = 0
        self._is_value = False
        self._in_phonetic = False

    def rows(self, part: IO[bytes]) -> Iterator[Row]:
        """The rows as they are read."""
        for _ in _fed(part, self._start, self._end, self._data):
            yield from self._done
            self._done.clear()
        yield from self._done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            match = CELL.fullmatch(attributes.get("r", ""))
            self._column = _column_number(match[1]) if match else len(self._cells)
            if self._column >= MAX_COLUMNS:
                raise UnreadableFile(f"Line {self._line} has more than {MAX_COLUMNS} columns.")
            self._type, self._style = attributes.get("t", "n"), _whole(attributes.get("s"))
            self._pieces.clear()
            self._length = 0
        elif name == "v" or (name == "t" and not self._in_phonetic):
            self._is_value = True
        elif name == "rPh":
            self._in_phonetic = True
        elif name == "row":
            number = _whole(attributes.get("r"))
            self._line = number if number > self._line else self._line + 1
            self._cells = []

    def _data(self, text: str) -> None:
        if self._is_value:
            self._length += len(text)
            if self._length > MAX_CELL_CHARACTERS * 7:  # every character may be an escape of seven
                raise UnreadableFile(f"Line {self._line} has a cell of more than {MAX_CELL_CHARACTERS:,} characters.")
            self._pieces.append(text)

    def _end(self, name: str) -> None:
        if name in ("v", "t"):
            self._is_value = False
        elif name == "rPh":
            self._in_phonetic = False
        elif name == "c":
            value = self._value("".join(self._pieces))
            if value:
                self._cells += [""] * (self._column + 1 - len(self._cells))
                self._cells[self._column] = value
        elif name == "row":
            self._done.append(Row(self._line, self._cells))

    def _value(self, text: str) -> str:
        match self._type:
            case "s":
                index = _whole(text, -1)
                if not 0 <= index < len(self._texts):
                    raise UnreadableFile(f"Line {self._line} refers to a text that the workbook doesn't have.")
                return self._texts[index]
            case "inlineStr" | "str":
                return _unescaped(text)
            case "b":
                return "true" if text == "1" else "false" if text else ""
            case "n":
                return self._number(text)
            case _:
                return text  # an error such as #N/A, or a date in ISO 8601

    def _number(self, text: str) -> str:
        try:
            number = float(text)
        except ValueError:
            return text
        if self._style in self._dates:
            try:
                moment = self._epoch + timedelta(days=number)
            except OverflowError:
                return text
            if moment < datetime(1900, 3, 1) and self._epoch.year == 1899:  # noqa: DTZ001 - as above
                moment += timedelta(days=1)  # Excel believes in the 29 February 1900
            is_day = moment.time() == datetime.min.time()
            return date.isoformat(moment.date()) if is_day else moment.isoformat(" ", "seconds")
        return str(int(number)) if number.is_integer() and abs(number) < 2**63 else text


def _parse(part: IO[bytes], start: Start, end: End | None = None, data: Callable[[str], None] | None = None) -> None:
    for _ in _fed(part, start, end, data):
        pass


def _fed(
    part: IO[bytes], start: Start, end: End | None = None, data: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Feed a part to a parser; comes back after each piece."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def local(name: str) -> str:
        return name.rpartition(":")[2]

    def refuse(*_: object) -> None:
        raise UnreadableFile("The workbook has a document type declaration, which no workbook needs.")

    parser.StartElementHandler = lambda name, attributes: start(local(name), attributes)
    if end is not None:
        parser.EndElementHandler = lambda name: end(local(name))
    if data is not None:
        parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = refuse
    try:
        with part:
            while chunk := part.read(CHUNK):
                parser.Parse(chunk, False)
                yield
            parser.Parse(b"", True)
            yield
    except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, IndexError, LookupError):
        raise UnreadableFile("The workbook is damaged.") from None


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _whole(text: str | None, default: int = 0) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else default


def _unescaped(text: str) -> str:
    # §22.4.2.4: characters that XML can't hold stand as _x0000_.
    return ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text
