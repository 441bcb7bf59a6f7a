"""What a request asks, read and checked: who calls, the body, the parameters of the routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AfterValidator

from servicekit.paging import MAX_CURSOR_CHARACTERS, MAX_LIMIT
from servicekit.problems import (
    BadRequest,
    FieldError,
    NotFound,
    PreconditionFailed,
    Unprocessable,
    UnsupportedMediaType,
)
from servicekit.request_context import request_id
from servicekit.security import require
from servicekit.tokens import Claims
from student_service.conditional import MalformedTags, Outcome, entity_tag, evaluate
from student_service.documented import JSON, MERGE_PATCH
from student_service.filters import MAX_QUERY_CHARACTERS, Filters, make_filters
from student_service.history import Actor
from student_service.listing import SORT_WORDS
from student_service.rules import MAX_YEAR, MIN_YEAR, STATUSES

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

may_read = require("students:read")
may_write = require("students:write")
Reader = Annotated[Claims, Depends(may_read)]
Writer = Annotated[Claims, Depends(may_write)]


def actor_of(request: Request, caller: Claims) -> Actor:
    """Who changes something in this request."""
    state = request.app.state
    return Actor(caller.sub, caller.username, request_id(request.scope), state.clock(), zone=state.zone)


def _body(*media_types: str) -> Callable[..., Any]:
    async def read(request: Request, _: Writer) -> dict[str, Any]:
        # A dependency after the caller's, so that nobody's body is read before they may write.
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given not in media_types:
            raise UnsupportedMediaType(f"Send the body as {' or '.join(media_types)}.")
        body = await request.json()
        if not isinstance(body, dict):
            raise Unprocessable(errors=[FieldError("body", "must be a JSON object")])
        return body

    return read


Body = Annotated[dict[str, Any], Depends(_body(JSON))]
PatchBody = Annotated[dict[str, Any], Depends(_body(JSON, MERGE_PATCH))]


async def _known_id(
    student_id: Annotated[str, Path(description="A student's id.", json_schema_extra={"format": "uuid"})],
) -> str:
    canonical = student_id.lower()
    if not UUID.fullmatch(canonical):
        raise NotFound("There is no such student.")  # what is no id is nobody's id
    return canonical


StudentId = Annotated[str, Depends(_known_id)]


def one_of(words: tuple[str, ...]) -> AfterValidator:
    """Accepts only these words."""

    def check(word: str | None) -> str | None:
        if word is not None and word not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return word

    return AfterValidator(check)


Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`next_cursor` of the page before.")]
Sort = Annotated[
    str,
    Query(description="A field, or `-field` for the other direction.", json_schema_extra={"enum": list(SORT_WORDS)}),
    one_of(SORT_WORDS),
]
Search = Annotated[
    str | None,
    Query(
        max_length=4 * MAX_QUERY_CHARACTERS,
        description="Words that are all found in the names, the e-mail or the number; case and accents don't count.",
    ),
]
StatusFilter = Annotated[str | None, Query(json_schema_extra={"enum": list(STATUSES)}), one_of(STATUSES)]
ProgramFilter = Annotated[str | None, Query(description="The whole name; case and accents don't count.")]
YearFilter = Annotated[int | None, Query(ge=MIN_YEAR, le=MAX_YEAR)]
OnlyDeleted = Annotated[bool, Query(description="Only deleted students, instead of those there are.")]


async def _selected(
    q: Search = None,
    status: StatusFilter = None,
    program: ProgramFilter = None,
    year: YearFilter = None,
    deleted: OnlyDeleted = False,
) -> Filters:
    # Not a plain function: each of those costs a hop to a worker thread.
    return make_filters(q, status, program, year, deleted=deleted)


Selected = Annotated[Filters, Depends(_selected)]
AlsoDeleted = Annotated[bool, Query(description="Show the student although it is deleted.")]
IfMatch = Annotated[list[str] | None, Header(description="Go on only if this is still the version (RFC 9110 §13.1.1).")]
IfNoneMatch = Annotated[list[str] | None, Header(description="RFC 9110 §13.1.2.")]
SentKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern="^[ -~]{1,255}$",
        description="Makes a repeated request safe for 24 hours: it gets the first answer again.",
    ),
]


async def _one_key(request: Request, key: SentKey = None) -> str | None:
    if key is not None and len(request.headers.getlist("idempotency-key")) > 1:
        raise BadRequest("The request has more than one Idempotency-Key header.")
    return key


IdempotencyKey = Annotated[str | None, Depends(_one_key)]


def is_unchanged(version: int, if_match: list[str] | None, if_none_match: list[str] | None) -> bool:
    """Whether a read is to be answered with 304.

    Raises:
        PreconditionFailed: It asked for another version. BadRequest: its If-Match can't be read.
    """
    if not if_match and not if_none_match:
        return False
    return _evaluated(version, if_match, if_none_match, is_read=True) is Outcome.NOT_MODIFIED


def precondition(if_match: list[str] | None, if_none_match: list[str] | None) -> Callable[[int], None]:
    """A check that raises PreconditionFailed or BadRequest when a change must not be made to a version."""

    def check(version: int) -> None:
        _evaluated(version, if_match, if_none_match, is_read=False)

    return check


def _evaluated(version: int, if_match: list[str] | None, if_none_match: list[str] | None, *, is_read: bool) -> Outcome:
    try:
        outcome = evaluate(version, if_match=if_match, if_none_match=if_none_match, is_read=is_read)
    except MalformedTags:
        raise BadRequest('If-Match takes "*" or quoted entity tags such as "v3", with commas between them.') from None
    if outcome is Outcome.FAILED:
        # The tag says which version there is now, to compare with.
        raise PreconditionFailed("The student has been changed since.", headers={"ETag": entity_tag(version)})
    return outcome
