"""The state of the students' list: all of it stands in the address. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self
from urllib.parse import urlencode

from admin_ui.wording import STATUSES

PATH = "/admin/students"
PAGE_SIZE = 50
LONGEST_TRAIL = 12
DEFAULT_SORT = "last_name"
SORTS = {
    "last_name": "Name",
    "student_number": "Number",
    "email": "E-mail",
    "status": "Status",
    "program": "Program",
    "year": "Year",
    "date_of_birth": "Date of birth",
    "enrolled_on": "Enrolled on",
    "updated_at": "Last change",
}
FILTERS = ("q", "status", "program", "year")


@dataclass(frozen=True)
class Chip:
    """A filter that is on, and the list without it."""

    label: str
    value: str
    href: str


@dataclass(frozen=True)
class ListState:
    """What is shown. ``cursor`` is where the page begins, ``trail`` where those before it began, without the first."""

    q: str = ""
    status: str = ""
    program: str = ""
    year: str = ""
    deleted: bool = False
    sort: str = DEFAULT_SORT
    cursor: str = ""
    trail: tuple[str, ...] = ()
    page: int = 1

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """The state in an address; what can't be is left out."""
        number = query.get("page", "")
        sort = query.get("sort", "")
        cursor = query.get("cursor", "")
        return cls(
            q=query.get("q", "").strip(),
            status=query["status"] if query.get("status") in STATUSES else "",
            program=query.get("program", "").strip(),
            year=query["year"] if query.get("year", "").isascii() and query.get("year", "").isdigit() else "",
            deleted=query.get("deleted") == "true",
            sort=sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT,
            cursor=cursor,
            trail=tuple(part for part in query.get("trail", "").split("~") if part) if cursor else (),
            page=int(number) if cursor and number.isascii() and number.isdigit() and len(number) < 7 else 1,
        )

    def api_query(self) -> dict[str, str | int]:
        """The filters and the order, as the API takes them."""
        given: dict[str, Any] = {name: getattr(self, name) for name in FILTERS if getattr(self, name)}
        if self.deleted:
            given["deleted"] = "true"
        return {**given, "sort": self.sort}

    def page_query(self) -> dict[str, str | int]:
        """One page, as the API takes it."""
        return {**self.api_query(), "limit": PAGE_SIZE, **({"cursor": self.cursor} if self.cursor else {})}

    def url(self, **changes: Any) -> str:
        """The address with some of it changed; from the first page on unless a cursor is given."""
        if "cursor" not in changes:
            changes |= {"cursor": "", "trail": (), "page": 1}
        return replace(self, **changes).address(PATH)

    def address(self, path: str) -> str:
        """This state at ``path``."""
        shown = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                shown[field.name] = "true" if value is True else "~".join(value) if field.name == "trail" else value
        return path + ("?" + urlencode(shown) if shown else "")

    def export_url(self, file_format: str) -> str:
        """All that the filters show, as a file."""
        address = replace(self, cursor="", trail=(), page=1).address(f"{PATH}/export")
        return address + ("&" if "?" in address else "?") + urlencode({"format": file_format})

    def next_url(self, cursor: str) -> str:
        """The page that begins at ``cursor``."""
        trail = (*self.trail, self.cursor)[-LONGEST_TRAIL:] if self.cursor else ()
        return self.url(cursor=cursor, trail=trail, page=self.page + 1)

    def previous_url(self) -> str | None:
        """The page before; None on the first, and where the trail is lost."""
        if self.page <= 1:
            return None
        if not self.trail:
            return self.url() if self.page == 2 else None
        return self.url(cursor=self.trail[-1], trail=self.trail[:-1], page=self.page - 1)

    def sort_url(self, name: str) -> str:
        """Sorted by ``name``; the other way round when it is sorted by it already."""
        return self.url(sort=f"-{name}" if self.sort == name else name)

    def direction(self, name: str) -> str:
        """For ``aria-sort``."""
        if self.sort.removeprefix("-") != name:
            return "none"
        return "descending" if self.sort.startswith("-") else "ascending"

    @property
    def is_filtered(self) -> bool:
        return any(getattr(self, name) for name in FILTERS)

    @property
    def first_shown(self) -> int:
        """The number of the first row, counted from 1."""
        return (self.page - 1) * PAGE_SIZE + 1

    def chips(self) -> list[Chip]:
        """The filters that are on, but the search and the status: they have their own places."""
        found = []
        if self.program:
            found.append(Chip("Program", self.program, self.url(program="")))
        if self.year:
            found.append(Chip("Year", self.year, self.url(year="")))
        return found
