"""A zip archive that is sent while it is written: nothing goes back in it, and no file is held whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any


class _Outgoing(io.RawIOBase):
    """Takes what is written and hands it out."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        """What was written since the last time."""
        piece = b"".join(self._pieces)
        self._pieces.clear()
        return piece


def zip_pieces(parts: Iterator[tuple[str, Iterator[bytes]]], now: datetime) -> Iterator[bytes]:
    """The bytes of an archive with these parts (name, bytes in pieces), in pieces."""
    outgoing = _Outgoing()
    with zipfile.ZipFile(outgoing, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, pieces in parts:
            info = zipfile.ZipInfo(name, now.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w") as part:
                for piece in pieces:
                    part.write(piece)
                    if written := outgoing.taken():
                        yield written
    yield outgoing.taken()
