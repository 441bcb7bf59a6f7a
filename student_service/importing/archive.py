"""Zip archives that anybody may send: what is in them is measured before it is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from student_service.importing.tables import MAX_PART_BYTES, UnreadableFile

MAX_PARTS = 2_000


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn what the reading of a damaged archive raises, which shows only where it is damaged, into UnreadableFile."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise UnreadableFile("The file is damaged.") from None


class Archive:
    """The parts of a zip archive by name.

    Raises:
        UnreadableFile: It isn't one, or has too many parts.
    """

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError):
            raise UnreadableFile("The zip archive is damaged.") from None
        if len(self._zip.infolist()) > MAX_PARTS:
            raise UnreadableFile(f"The zip archive has more than {MAX_PARTS:,} files.")

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def open(self, name: str, max_bytes: int = MAX_PART_BYTES) -> IO[bytes]:
        """A part to read; it never gives more bytes than it was said to have.

        Raises:
            UnreadableFile: It isn't there, is encrypted or damaged, or too large unpacked.
        """
        info = self._zip.NameToInfo.get(name)
        if info is None:
            raise UnreadableFile(f"The zip archive has no {name}.")
        if info.file_size > max_bytes:
            raise UnreadableFile(f"{name} is larger than {max_bytes // 2**20} MiB when it is unpacked.")
        if info.flag_bits & 0x1:
            raise UnreadableFile("The file is protected by a password; save it without one.")
        try:
            return self._zip.open(info)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError):
            raise UnreadableFile("The zip archive is damaged.") from None
