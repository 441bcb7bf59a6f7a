"""CSV as spreadsheets and we read it: UTF-8 with a BOM, commas, CRLF (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from student_service.neutral import neutralised

BOM = "\ufeff"  # by which Excel knows that it is UTF-8
PIECE_CHARACTERS = 1 << 16


def csv_pieces(rows: Iterable[Iterable[str]], *, start: str = BOM, is_neutral: bool = True) -> Iterator[bytes]:
    """A CSV file in pieces; with ``is_neutral``, cells that look like formulas are neutralised."""
    text = io.StringIO(newline="")
    text.write(start)
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([neutralised(cell) for cell in row] if is_neutral else list(row))
        if text.tell() >= PIECE_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()
