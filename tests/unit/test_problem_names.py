"""What problems are called is the same whatever Python runs, in a problem body as in the edge's own status lines."""

from __future__ import annotations

from http import HTTPStatus

import orjson
import pytest

from gateway.edge.refusal import Refusal
from gateway.edge.refusal import render as render_refusal
from servicekit.problems import TITLES, Conflict, PayloadTooLarge, Problem, Unprocessable, UriTooLong, render

RENAMED = {  # in Python 3.13
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def body_of(error: Problem) -> dict[str, object]:
    *_, body = render(error, instance="/x", request_id="r")
    told: dict[str, object] = orjson.loads(body)
    return told


def test_the_names_are_those_of_the_standards() -> None:
    assert {status: HTTPStatus(status).phrase for status in TITLES} | RENAMED == TITLES


def test_every_problem_has_a_name() -> None:
    seen, left = set(), [Problem]
    while left:
        kind = left.pop()
        seen.add(kind.status)
        left += kind.__subclasses__()
    assert seen <= TITLES.keys()


@pytest.mark.parametrize(
    ("error", "title", "name"),
    [
        (PayloadTooLarge(), "Content Too Large", "content-too-large"),
        (UriTooLong(), "URI Too Long", "uri-too-long"),
        (Unprocessable(), "Unprocessable Content", "validation-error"),
        (Conflict(), "Conflict", "conflict"),
    ],
)
def test_a_problem_is_called_the_same_on_every_python(error: Problem, title: str, name: str) -> None:
    told = body_of(error)
    assert (told["title"], told["type"]) == (title, f"urn:matricula:problem:{name}")


@pytest.mark.parametrize("status", [400, 408, 413, 414, 431, 501, 503, 505])
def test_the_edge_says_in_its_status_line_what_its_problem_is_called(status: int) -> None:
    refusal = Refusal("127.0.0.1", status, "reason", "GET", "/x", "r")
    head, _, body = render_refusal(refusal, "Why.", []).partition(b"\r\n\r\n")
    told = orjson.loads(body)
    assert head.split(b"\r\n")[0].decode() == f"HTTP/1.1 {status} {told['title']}"
    assert told["title"] == TITLES[status]
