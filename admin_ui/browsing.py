"""A list that is read a page at a time, all its state in the address: filters, order, where the page begins. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Self, TypedDict
from urllib.parse import urlencode

LONGEST_TRAIL = 12
LONGEST_FILTER = 200  # characters; nothing that is filtered by is longer
NO_FILTERS: Mapping[str, Collection[str]] = {}


class Paged(ABC):
    """Turning pages and choosing an order, for a list whose state says where its page begins.

    ``cursor`` is where the page begins, ``trail`` where those before it began, without the first.
    """

    sort: str
    cursor: str
    trail: tuple[str, ...]
    page: int
    page_size: int

    @abstractmethod
    def url(self, **changes: str) -> str:
        """The address from the first page on, with filters or the order set anew."""

    @abstractmethod
    def address_at(self, cursor: str, trail: tuple[str, ...], page: int) -> str:
        """The address of another page of the same list."""

    def next_url(self, cursor: str) -> str:
        """The page that begins at ``cursor``."""
        trail = (*self.trail, self.cursor)[-LONGEST_TRAIL:] if self.cursor else ()
        return self.address_at(cursor, trail, self.page + 1)

    def previous_url(self) -> str | None:
        """The page before; None on the first, and where the trail is lost."""
        if self.page <= 1:
            return None
        if not self.trail:
            return self.url() if self.page == 2 else None
        return self.address_at(self.trail[-1], self.trail[:-1], self.page - 1)

    def sort_url(self, name: str) -> str:
        """Sorted by ``name``; the other way round when it is sorted by it already."""
        return self.url(sort=f"-{name}" if self.sort == name else name)

    def direction(self, name: str) -> str:
        """For ``aria-sort``."""
        if self.sort.removeprefix("-") != name:
            return "none"
        return "descending" if self.sort.startswith("-") else "ascending"

    @property
    def first_shown(self) -> int:
        """The number of the first row, counted from 1."""
        return (self.page - 1) * self.page_size + 1


class Place(TypedDict):
    """Where in a list an address is."""

    cursor: str
    trail: tuple[str, ...]
    page: int


def place_in(query: Mapping[str, str]) -> Place:
    """Read the place; what can't be is the beginning."""
    cursor, number = query.get("cursor", ""), query.get("page", "")
    return {
        "cursor": cursor,
        "trail": tuple(part for part in query.get("trail", "").split("~") if part) if cursor else (),
        "page": int(number) if cursor and number.isascii() and number.isdigit() and len(number) < 7 else 1,
    }


@dataclass(frozen=True)
class Browsing(Paged):
    """What is shown."""

    path: str
    page_size: int
    default_sort: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    cursor: str = ""
    trail: tuple[str, ...] = ()
    page: int = 1

    def reading(
        self,
        query: Mapping[str, str],
        *,
        filters: Mapping[str, Collection[str]] = NO_FILTERS,
        sorts: Collection[str] = (),
    ) -> Self:
        """With the state that an address says; what can't be is left out.

        Args:
            query: The address's.
            filters: By name what each may be; any text when that is empty.
            sorts: What may be sorted by.
        """
        asked = {name: query.get(name, "").strip()[:LONGEST_FILTER] for name in filters}
        asked = {name: value for name, value in asked.items() if not filters[name] or value in filters[name]}
        sort = query.get("sort", "")
        return replace(
            self,
            filters={name: value for name, value in asked.items() if value},
            sort=sort if sort.removeprefix("-") in sorts else self.default_sort,
            **place_in(query),
        )

    def api_page(self) -> dict[str, str | int]:
        """This page, as the API takes it; the filters are the caller's to translate."""
        asked: dict[str, str | int] = {"limit": self.page_size}
        if self.sort:
            asked["sort"] = self.sort
        if self.cursor:
            asked["cursor"] = self.cursor
        return asked

    def url(self, **changes: str) -> str:
        """The address from the first page on, with filters or the order set anew."""
        sort = changes.pop("sort", self.sort)
        filters = {name: value for name, value in {**self.filters, **changes}.items() if value}
        return replace(self, filters=filters, sort=sort, cursor="", trail=(), page=1).address()

    def address(self) -> str:
        """The address of what is shown."""
        shown = dict(self.filters)
        if self.sort != self.default_sort:
            shown["sort"] = self.sort
        if self.cursor:
            shown |= {"cursor": self.cursor, "page": str(self.page)}
            if self.trail:
                shown["trail"] = "~".join(self.trail)
        return self.path + ("?" + urlencode(shown) if shown else "")

    def address_at(self, cursor: str, trail: tuple[str, ...], page: int) -> str:
        return replace(self, cursor=cursor, trail=trail, page=page).address()
