"""Log lines for people: no terminal obeys what somebody has sent, and an exception is told like any other event."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
PROGRAM = """
import logging, sys, warnings
from servicekit.logs import configure_logging, get_logger
from servicekit.request_line import RequestLines
from servicekit.request_context import RequestFacts

def raise_one(hostile):
    try:
        raise LookupError(hostile)
    except LookupError:
        raise ValueError(hostile)

class Odd:
    def __repr__(self):
        return hostile

configure_logging("a_service", "info", "console")
hostile = eval(sys.argv[1])
log = get_logger()
facts = RequestFacts("the-id", "the-trace", "00", hostile)
facts.user = hostile
RequestLines(level="info", as_json=False).write(facts, hostile, "/" + hostile, hostile, 200, 0.1, quiet=False)
log.info(hostile, words=f"two words {hostile}", number=1, inner={"key": [hostile]}, odd=Odd(), **{f"name{hostile}": 2})
logging.getLogger(f"library{hostile}").warning("it says %s", hostile)
warnings.warn(hostile)
try:
    raise_one(hostile)
except ValueError as error:
    log.error("went_wrong", exc_info=error)
log.info("last")
"""
HOSTILE = {
    "C0": "\x1b[2J",
    "DEL": "\x7f",
    "C1": "\x80\x9b2J\x9f",
    "C1 alone": "\x85",
    "embeddings": "\u202a\u202b\u202c\u202d\u202e",
    "isolates": "\u2066\u2067\u2068\u2069",
    "line ends": "\u2028\u2029",
    "line break": "\n2026-11-24 [info] forged",
    "lone surrogate": "\udc9b",
}


def said(hostile: str) -> list[str]:
    """The lines of a program that logs this text in every place, without the colours of the lines themselves."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, ascii(hostile)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    return run.stdout.decode().removesuffix("\n").split("\n")


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_a_terminal_would_obey_is_escaped_in_every_field(kind: str) -> None:
    hostile = HOSTILE[kind]
    lines = said(hostile)
    escaped = repr(hostile)[1:-1]
    plain = [COLOURS.sub("", line) for line in lines]
    assert not [line for line in plain if not line.isprintable()]
    assert not any(hostile in line for line in lines)
    request, event, library, *_ = plain
    for field in ("client_ip", "method", "route", "user"):
        assert f"{field}='{escaped}'" in request
    assert f"path='/{escaped}'" in request
    assert f"words='two words {escaped}' " in event + " "
    assert f"inner={{'key': ['{escaped}']}}" in event
    assert f"'it says {escaped}'" in library
    assert "last" in plain[-1]


def test_what_is_printable_stays_as_it_is_and_an_exception_is_told_without_its_message() -> None:
    *lines, last = [COLOURS.sub("", line) for line in said("Zoë")]
    assert "path=/Zoë" in lines[0]
    assert "words='two words Zoë'" in lines[1]
    told = next(number for number, line in enumerate(lines) if "went_wrong" in line)
    *frames, kind, cause = lines[told + 1 :]
    assert [frame.rpartition(" ")[2] for frame in frames] == ["<module>", "raise_one"]
    assert (kind, cause) == ("builtins.ValueError", "  because of builtins.LookupError")
    assert "last" in last
