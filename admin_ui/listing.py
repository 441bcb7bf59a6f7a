"""The state of the students' list: all of it stands in the address. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from admin_ui.browsing import Paged, place_in
from admin_ui.wording import STATUSES

PATH = "/admin/students"
PAGE_SIZE = 50
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
# What is said of a part of an address that can't be used, by its name.
LEFT_OUT = {
    "status": "There is no such status, so students of every status are shown.",
    "year": "That is no year, so students of every year are shown.",
    "sort": "The list can’t be sorted by that, so it is sorted by name.",
    "deleted": "“deleted” is either true or false in an address; here it is neither, so it doesn’t count.",
}
FILTERS = ("q", "status", "program", "year")
BEHIND = "list"
LONGEST_BEHIND = 1_000


@dataclass(frozen=True)
class Chip:
    """A filter that is on, and the list without it."""

    label: str
    value: str
    href: str


@dataclass(frozen=True)
class ListState(Paged):
    """What is shown."""

    page_size = PAGE_SIZE

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
        sort = query.get("sort", "")
        return cls(
            q=query.get("q", "").strip(),
            status=query["status"] if query.get("status") in STATUSES else "",
            program=query.get("program", "").strip(),
            year=query["year"] if query.get("year", "").isascii() and query.get("year", "").isdigit() else "",
            deleted=query.get("deleted") == "true",
            sort=sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT,
            **place_in(query),
        )

    @classmethod
    def left_out(cls, query: Mapping[str, str]) -> list[str]:
        """What to say of the parts of an address that ``read`` leaves out."""
        kept = cls.read(query)
        is_left_out = {
            "status": not kept.status,
            "year": not kept.year,
            "sort": kept.sort != query.get("sort"),
            "deleted": query.get("deleted") not in ("true", "false"),
        }
        return [message for name, message in LEFT_OUT.items() if query.get(name) and is_left_out[name]]

    @classmethod
    def behind(cls, query: Mapping[str, str]) -> Self:
        """The list that a student's page was opened from, which its address carries along."""
        return cls.read(dict(parse_qsl(query.get(BEHIND, ""))))

    def record_url(self, student_id: Any, page: str = "") -> str:
        """A page of a student's, with this list to go back to."""
        state = self.address("")[1:]
        if len(state) > LONGEST_BEHIND:  # its first page, then
            state = self.url().partition("?")[2]
        kept = "?" + urlencode({BEHIND: state}) if 0 < len(state) <= LONGEST_BEHIND else ""
        return f"{PATH}/{student_id}{page}{kept}"

    def api_query(self) -> dict[str, str | int]:
        """The filters and the order, as the API takes them."""
        given: dict[str, Any] = {name: getattr(self, name) for name in FILTERS if getattr(self, name)}
        if self.deleted:
            given["deleted"] = "true"
        return {**given, "sort": self.sort}

    def page_query(self) -> dict[str, str | int]:
        """One page, as the API takes it."""
        return {**self.api_query(), "limit": self.page_size, **({"cursor": self.cursor} if self.cursor else {})}

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

    def address_at(self, cursor: str, trail: tuple[str, ...], page: int) -> str:
        return self.url(cursor=cursor, trail=trail, page=page)

    @property
    def is_filtered(self) -> bool:
        return any(getattr(self, name) for name in FILTERS)

    def chips(self) -> list[Chip]:
        """The filters that are on, but the search and the status: they have their own places."""
        found = []
        if self.program:
            found.append(Chip("Program", self.program, self.url(program="")))
        if self.year:
            found.append(Chip("Year", self.year, self.url(year="")))
        return found
