"""Text with commas, semicolons or tabs between the cells (RFC 4180), in UTF-8, UTF-16 with a BOM, or Windows-1252."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import IO

from student_service.importing.tables import FileTable, Row, UnreadableFile, with_header

DELIMITERS = ",;\t"
CHUNK = 1 << 16
SNIFFED = 1 << 16
NAMED_DELIMITER = re.compile(rf'"?sep=([{DELIMITERS}])"?(?=[\r\n])', re.IGNORECASE)  # Excel's own first line


def open_delimited(file: IO[bytes]) -> FileTable:
    """A CSV file as a table.

    Raises:
        UnreadableFile: It isn't text, or its quotation marks don't match. While rows are read, too.
    """
    encoding = encoding_of(file)
    file.seek(0)
    start = file.read(SNIFFED).decode(encoding, "ignore")  # it may end within a character
    if "\x00" in start:
        raise UnreadableFile("The file isn't text. Send CSV, an Excel workbook (.xlsx) or a OneRoster 1.2 zip.")
    named = NAMED_DELIMITER.match(start)
    delimiter = named[1] if named else delimiter_of(start)
    file.seek(0)
    rows = read_rows(io.TextIOWrapper(file, encoding=encoding, newline=""), delimiter)
    return with_header("csv", islice(rows, 1, None) if named else rows)


def encoding_of(file: IO[bytes]) -> str:
    """How the text is encoded: by its BOM, else UTF-8 when it is valid, else Windows-1252.

    Raises:
        UnreadableFile: It is neither.
    """
    file.seek(0)
    start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _valid(file, "utf-16") or _refuse()
    return _valid(file, "utf-8-sig") or _valid(file, "cp1252") or _refuse()


def _valid(file: IO[bytes], encoding: str) -> str | None:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return encoding


def _refuse() -> str:
    raise UnreadableFile("The file's characters are neither UTF-8 nor Windows-1252; save it as CSV UTF-8.")


def delimiter_of(start: str) -> str:
    """The delimiter that the first line that isn't empty has most of, outside quotation marks."""
    counts = dict.fromkeys(DELIMITERS, 0)
    is_quoted = False
    for character in start.lstrip("\r\n"):
        if character == '"':
            is_quoted = not is_quoted
        elif is_quoted:
            continue
        elif character in "\r\n":
            break
        elif character in counts:
            counts[character] += 1
    return max(DELIMITERS, key=lambda one: counts[one])


def read_rows(text: io.TextIOWrapper, delimiter: str) -> Iterator[Row]:
    """Rows with the line each begins on; quoted line breaks count. The file below stays open.

    Raises:
        UnreadableFile: Quotation marks don't match, or the text isn't in its encoding.
    """
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield Row(line, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        if "field larger" in str(error):
            raise UnreadableFile(f"Line {line}: a cell is too long; is a quotation mark not closed?") from None
        raise UnreadableFile(f"Line {line}: the quotation marks don't match.") from None
    except UnicodeDecodeError:
        raise UnreadableFile(f"After line {line} there are characters that aren't UTF-8.") from None
    finally:
        if not text.closed:
            text.detach()
