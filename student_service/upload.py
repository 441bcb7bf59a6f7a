"""A file as it comes in: from a form or as the body itself, into a temporary file that has no name on the disk."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from servicekit.problems import FieldError, Unprocessable, UnsupportedMediaType

FORM = "multipart/form-data"
TYPES = (
    "text/csv",
    "text/tab-separated-values",
    "text/plain",
    "application/vnd.ms-excel",  # what browsers on Windows call a CSV file
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/zip",
    "application/x-zip-compressed",
    "application/octet-stream",
)
MAX_FORM_FIELDS = 10
CHUNK = 1 << 18


@dataclass
class Upload:
    """A file that was sent, its digest, and the other fields of its form."""

    file: IO[bytes]
    sha256: str
    fields: dict[str, str]
    _is_taken: bool = False

    def take(self) -> IO[bytes]:
        """The file, for somebody who closes it."""
        self._is_taken = True
        return self.file

    def close(self) -> None:
        """Close the file unless somebody took it."""
        if not self._is_taken:
            self.file.close()


async def receive(request: Request) -> Upload:
    """Take in a request's file. What it is, is told from what is in it; its name isn't kept.

    Raises:
        UnsupportedMediaType: The body is of a type that is no file of students.
        Unprocessable: The form has no file.
        BadRequest: The form can't be read.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == FORM:
        async with request.form(max_files=1, max_fields=MAX_FORM_FIELDS) as form:
            sent = form.get("file")
            if not isinstance(sent, UploadFile):
                raise Unprocessable(errors=[FieldError("file", "is required: the file of students")])
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            return await _keep(_chunks(sent), fields)
    if media_type not in TYPES:
        raise UnsupportedMediaType("Send CSV, an Excel workbook or a OneRoster zip, as the body or as a form's file.")
    return await _keep(request.stream(), {})


async def _chunks(sent: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await sent.read(CHUNK):
        yield chunk


async def _keep(chunks: AsyncIterator[bytes], fields: dict[str, str]) -> Upload:
    # Without a name: it is gone with the process, whatever happens.
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - who works on the import closes it
    digest = hashlib.sha256()
    try:
        async for chunk in chunks:
            digest.update(chunk)
            await run_in_threadpool(file.write, chunk)
    except BaseException:
        file.close()
        raise
    return Upload(file, digest.hexdigest(), fields)
