"""The route of exports: the list as a file, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from servicekit.database import Database
from servicekit.logs import get_logger
from servicekit.problems import FieldError, Unprocessable
from student_service import documented
from student_service.answers import PRIVATE
from student_service.asked import Reader, Selected, Sort, one_of
from student_service.documented import problems
from student_service.exporting.archive import zip_pieces
from student_service.exporting.delimited import csv_pieces
from student_service.exporting.roster import roster_parts
from student_service.exporting.students import Cell, Selection, all_students, as_text, cells_of, columns_of
from student_service.exporting.workbook import workbook_parts
from student_service.listing import DEFAULT_SORT, Order
from student_service.routing import database, only, reads, students_router
from student_service.rules import FIELDS

# Format → media type, end of the file's name.
FORMATS = {
    "csv": ("text/csv; charset=utf-8", "students-{day}.csv"),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "students-{day}.xlsx"),
    "oneroster": ("application/zip", "oneroster-{day}.zip"),
}

log = get_logger()
router = students_router()
Format = Annotated[
    str,
    Query(description="What kind of file.", json_schema_extra={"enum": list(FORMATS)}),
    one_of(tuple(FORMATS)),
]
FieldsAsked = Annotated[
    str | None,
    Query(max_length=500, description="Which fields, with commas between them; all by default. Not for OneRoster."),
]


@reads(
    router,
    "/export",
    summary="Export students to a file",
    response_class=Response,
    responses={**documented.EXPORT_FILE, **problems()},
)
def export_students(
    request: Request,
    _: Reader,
    filters: Selected,
    sort: Sort = DEFAULT_SORT,
    format: Format = "csv",
    fields: FieldsAsked = None,
) -> Response:
    """All students that pass the filters, in the list's order, as CSV, Excel workbook or OneRoster 1.2 archive. Texts
    that a spreadsheet would take for formulas have an apostrophe before them, which an import takes off again: an
    import of an export with `mode=upsert` changes nothing.
    """
    selection = Selection(filters, Order.of(sort), _fields(fields))
    now = request.app.state.clock()
    media_type, name = FORMATS[format]
    today = now.astimezone(request.app.state.zone).date()
    headers = {"Content-Disposition": f'attachment; filename="{name.format(day=today)}"', **PRIVATE}
    if request.method == "HEAD":
        return Response(media_type=media_type, headers=headers)
    log.info("students_exported", format=format)
    pieces = _pieces(database(request), selection, format, now)
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


def _fields(asked: str | None) -> tuple[str, ...]:
    if not asked:
        return tuple(FIELDS)
    names = [name.strip() for name in asked.split(",")]
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise Unprocessable(errors=[FieldError("fields", f"may name {', '.join(FIELDS)}")])
    return tuple(dict.fromkeys(names))


def _pieces(db: Database, selection: Selection, format: str, now: datetime) -> Iterator[bytes]:
    students = all_students(db, selection)
    if format == "oneroster":
        return zip_pieces(roster_parts(students), now)
    columns = columns_of(db, selection)
    rows = (cells_of(student, columns) for student in students)
    if format == "xlsx":
        return zip_pieces(workbook_parts(columns, rows), now)
    return csv_pieces([as_text(cell) for cell in row] for row in _with_header(columns, rows))


def _with_header(columns: list[str], rows: Iterator[list[Cell]]) -> Iterator[list[Cell]]:
    yield list(columns)
    yield from rows


only(router, "/export", "GET", "HEAD")
