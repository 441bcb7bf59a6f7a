"""Path and query parameters that several routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import AfterValidator

from servicekit.paging import DEFAULT_LIMIT, MAX_CURSOR_CHARACTERS, MAX_LIMIT

# FastAPI's defaults are given where these are used: Limit = 20.
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description=f"Items on a page, {DEFAULT_LIMIT} when left out.")]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`next_cursor` of the page before.")]
Identifier = Annotated[
    str,
    Path(
        pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        description="A UUID.",
        examples=["0199aaaa-0000-7000-8000-000000000000"],
    ),
    AfterValidator(str.lower),  # RFC 9562 §4: read whatever its case
]
