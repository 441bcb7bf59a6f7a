"""Which students a list, an export or a bulk change is about. Pure: ``search`` makes SQL of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from servicekit.problems import FieldError, Unprocessable
from student_service import values
from student_service.folding import fold, search_terms

MAX_QUERY_CHARACTERS = 200
MAX_SEARCH_TERMS = 10
TRIGRAM = 3


@dataclass(frozen=True)
class Filters:
    """Which students; the texts are folded already."""

    terms: tuple[str, ...] = ()
    status: str | None = None
    program: str | None = None
    year: int | None = None
    deleted: bool = False

    def digest(self) -> str:
        """The same for the same filters only."""
        told = orjson.dumps([self.terms, self.status, self.program, self.year, self.deleted])
        return hashlib.blake2b(told, digest_size=9).hexdigest()

    @property
    def long_terms(self) -> tuple[str, ...]:
        """Those that have trigrams."""
        return tuple(term for term in self.terms if len(term) >= TRIGRAM)

    @property
    def short_terms(self) -> tuple[str, ...]:
        """Those that have none."""
        return tuple(term for term in self.terms if len(term) < TRIGRAM)


def make_filters(q: str | None, status: str | None, program: str | None, year: int | None, *, deleted: bool) -> Filters:
    """Filters from what the caller typed.

    Raises:
        Unprocessable: A text is too long or holds what no student's text can hold.
    """
    errors: list[FieldError] = []
    texts = {}
    for name, given, longest in (("q", q, MAX_QUERY_CHARACTERS), ("program", program, 100)):
        try:
            texts[name] = values.clean_text(given or "", longest)
        except ValueError as error:
            errors.append(FieldError(name, str(error)))
    terms = search_terms(texts.get("q", ""))
    if len(terms) > MAX_SEARCH_TERMS:
        errors.append(FieldError("q", f"must have at most {MAX_SEARCH_TERMS} words"))
    if errors:
        raise Unprocessable(errors=errors)
    return Filters(tuple(terms), status, fold(texts["program"]) or None, year, deleted)
