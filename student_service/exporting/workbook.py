"""An Excel workbook (.xlsx, ECMA-376 Part 1) with one sheet: texts as texts, numbers as numbers, days as days."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from xml.sax.saxutils import escape

from student_service.exporting.students import Cell
from student_service.neutral import neutralised

ROWS_IN_PIECE = 200
LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{TYPE}.styles+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">'
    '<sheets><sheet name="Students" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
    # Styles: 0 as it is, 1 a day (14 is the day in the reader's own way of writing it), 2 the header, 3 always text.
    "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="4">'
    '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="14" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" quotePrefix="1"/>'
    '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}
SHEET_START = (
    f'<worksheet xmlns="{MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2"'
    ' activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>'
)
SHEET_END = "</sheetData></worksheet>"
BEFORE_LEAP = date(1900, 3, 1)  # Excel has a 29 February 1900


def workbook_parts(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The files that a workbook is made of, in the order in which they are to be packed."""
    for name, content in PARTS.items():
        yield name, iter([(HEAD + content).encode()])
    yield "xl/worksheets/sheet1.xml", _sheet(header, rows)


def _sheet(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    titles = "".join(f'<c r="{_letters(at)}1" t="inlineStr" s="2">{_text(name)}</c>' for at, name in enumerate(header))
    piece = [HEAD + SHEET_START + f'<row r="1">{titles}</row>']
    columns = [_letters(at) for at in range(len(header))]
    for number, row in enumerate(rows, 2):
        cells = "".join(_cell(f"{column}{number}", cell) for column, cell in zip(columns, row, strict=True))
        piece.append(f'<row r="{number}">{cells}</row>')
        if len(piece) >= ROWS_IN_PIECE:
            yield "".join(piece).encode()
            piece.clear()
    yield ("".join(piece) + SHEET_END).encode()


def _cell(place: str, cell: Cell) -> str:
    match cell:
        case None | "":
            return ""
        case date():
            days = (cell - date(1899, 12, 30)).days
            return f'<c r="{place}" s="1"><v>{days - (cell < BEFORE_LEAP)}</v></c>'
        case int():
            return f'<c r="{place}"><v>{cell}</v></c>'
    return f'<c r="{place}" t="inlineStr" s="3">{_text(neutralised(cell, is_typed=True))}</c>'


def _text(text: str) -> str:
    # §22.4.2.4: what looks like an escaped character has its underscore escaped.
    return f'<is><t xml:space="preserve">{escape(LOOKS_ESCAPED.sub("_x005F_", text))}</t></is>'


def _letters(at: int) -> str:
    letters = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
