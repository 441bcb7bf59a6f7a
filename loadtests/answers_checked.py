"""What a right answer holds. Each check returns what is wrong, in words without data, or None. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
STUDENT_FIELDS = {
    "id", "student_number", "first_name", "last_name", "email", "middle_name", "preferred_name", "date_of_birth",
    "phone", "program", "year", "status", "enrolled_on", "guardians", "notes", "version", "created_at", "created_by",
    "updated_at", "updated_by", "deleted_at",
}  # fmt: skip
STATUSES = {"applicant", "enrolled", "on_leave", "graduated", "withdrawn"}
PROBLEM_FIELDS = {"type", "title", "status", "detail", "instance", "request_id"}


@dataclass
class Answer:
    """A response as checks see it; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    _parsed: Any = field(default=None, repr=False)

    def json(self) -> Any:
        """The body, parsed once.

        Raises:
            ValueError: It isn't JSON.
        """
        if self._parsed is None:
            self._parsed = json.loads(self.content)
        return self._parsed


Check = Callable[[Answer], str | None]


def what_is_wrong(answer: Answer, expected: tuple[int, ...], check: Check | None) -> str | None:
    """The first thing wrong with an answer: its status, what every answer has, its content."""
    if answer.status not in expected:
        return f"{answer.status} instead of {' or '.join(map(str, expected))}{_why(answer)}"
    if not REQUEST_ID.fullmatch(answer.headers.get("x-request-id", "")):
        return "no X-Request-ID"
    try:
        if answer.status >= 400 and answer.headers.get("content-type", "").startswith("application/"):
            return problem(answer) or (check(answer) if check else None)
        return check(answer) if check else None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return f"wrong body ({type(error).__name__} while reading it)"


def _why(answer: Answer) -> str:
    if answer.status == 429:
        return " (the system's own rate limit)"
    try:
        kind = str(answer.json()["type"]).rpartition(":")[2]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" ({kind})"


def problem(answer: Answer) -> str | None:
    """Errors are problem+json (RFC 9457), with the same request id as the header's."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return "an error that is no problem+json"
    body = answer.json()
    if not body.keys() >= PROBLEM_FIELDS:
        return "a problem without all its members"
    if body["status"] != answer.status or body["request_id"] != answer.headers["x-request-id"]:
        return "a problem that contradicts its own head"
    if answer.status == 401 and not answer.headers.get("www-authenticate", "").startswith("Bearer"):
        return "a 401 without WWW-Authenticate"
    return None


def student(body: Any) -> str | None:
    """One student record."""
    if not isinstance(body, dict) or not body.keys() >= STUDENT_FIELDS:
        return "wrong body: not a whole student"
    if body["status"] not in STATUSES or not isinstance(body["version"], int) or "@" not in body["email"]:
        return "wrong body: a student with impossible values"
    return None


def one_student(**expected: Any) -> Check:
    """A student with these values, and its ETag."""

    def check(answer: Answer) -> str | None:
        body = answer.json()
        if wrong := student(body):
            return wrong
        if not answer.headers.get("etag"):
            return "no ETag"
        for name, value in expected.items():
            if body[name] != value:
                return f"wrong body: another {name}"
        return None

    return check


def page_of_students(limit: int, *, term: str | None = None, after: set[str] | None = None) -> Check:
    """A page: at most `limit` students, each found by `term`, none of them in `after`, the page before."""

    def check(answer: Answer) -> str | None:
        body = answer.json()
        items = body["items"]
        if len(items) > limit or body["total"] < len(items) or len({item["id"] for item in items}) < len(items):
            return "wrong body: not a page of students"
        if wrong := next(filter(None, map(student, items)), None):
            return wrong
        if any(item["deleted_at"] for item in items):
            return "wrong body: deleted students in the list"
        if after and any(item["id"] in after for item in items):
            return "wrong body: students of the page before"
        if term is not None and not all(found_by(term, item) for item in items):
            return "wrong body: a student that the search doesn't find"
        if body["next_cursor"] is None and not after and term is None and body["total"] > len(items):
            return "wrong body: a last page that isn't"
        return None

    return check


def found_by(term: str, item: Mapping[str, Any]) -> bool:
    """Whether a search for a plain ASCII word finds a student."""
    searched = ("first_name", "middle_name", "last_name", "preferred_name", "email", "student_number")
    return any(term.casefold() in str(item[name] or "").casefold() for name in searched)


def tokens(answer: Answer) -> str | None:
    """A pair of tokens."""
    body = answer.json()
    is_bearer = body["token_type"].lower() == "bearer"
    if not is_bearer or body["access_token"].count(".") != 2 or not body["refresh_token"]:
        return "wrong body: no pair of tokens"
    if body["expires_in"] <= 0 or body["refresh_expires_in"] <= 0:
        return "wrong body: tokens that have expired"
    return None


def html_page(*needed: str) -> Check:
    """A whole HTML page with these texts."""

    def check(answer: Answer) -> str | None:
        if not answer.headers.get("content-type", "").startswith("text/html"):
            return "not HTML"
        text = answer.content.decode("utf-8", "replace")
        if "</html>" not in text:
            return "wrong page: cut off"
        missing = next((each for each in needed if each not in text), None)
        return None if missing is None else f"wrong page: without {missing!r}"

    return check
