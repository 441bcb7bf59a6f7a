"""Entity tags and preconditions as RFC 9110 has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student_service.conditional import MalformedTags, Outcome, entity_tag, evaluate, parse_tags


def decide(
    *, if_match: list[str] | None = None, if_none_match: list[str] | None = None, is_read: bool = False
) -> Outcome:
    return evaluate(3, if_match=if_match, if_none_match=if_none_match, is_read=is_read)


@pytest.mark.parametrize(
    "lines", [['"v3"'], ["*"], ['"v1", "v3"'], ['"v1"', '"v3"'], ['"v1",,"v3",'], [' "a,b" ,"v3" ']]
)
def test_a_listed_tag_or_a_star_matches(lines: list[str]) -> None:
    assert decide(if_match=lines) is Outcome.GO_ON


@pytest.mark.parametrize("lines", [['"v2"'], ['W/"v3"'], ['"V3"'], ['"v33"'], ['"v1", W/"v3"'], ['""']])
def test_other_and_weak_tags_do_not_match_strongly(lines: list[str]) -> None:
    assert decide(if_match=lines) is Outcome.FAILED


@pytest.mark.parametrize(
    "lines", [["v3"], ['"v3'], ['"v3" "v4"'], ["*, *"], ['*, "v3"'], ['w/"v3"'], [""], [","], ['"a b"']]
)
def test_a_guard_that_cannot_be_read_is_refused(lines: list[str]) -> None:
    with pytest.raises(MalformedTags):
        decide(if_match=lines)


def test_if_none_match_compares_weakly() -> None:
    assert decide(if_none_match=['W/"v3"'], is_read=True) is Outcome.NOT_MODIFIED
    assert decide(if_none_match=['"v3"']) is Outcome.FAILED
    assert decide(if_none_match=["*"]) is Outcome.FAILED
    assert decide(if_none_match=['"v2"'], is_read=True) is Outcome.GO_ON


def test_a_read_passes_over_an_if_none_match_that_cannot_be_read() -> None:
    assert decide(if_none_match=["v3"], is_read=True) is Outcome.GO_ON
    with pytest.raises(MalformedTags):
        decide(if_none_match=["v3"])


def test_if_match_is_decided_first() -> None:
    assert decide(if_match=['"v2"'], if_none_match=['"v3"'], is_read=True) is Outcome.FAILED


@given(st.lists(st.text(max_size=20), max_size=3))
def test_any_header_is_read_or_refused(lines: list[str]) -> None:
    try:
        parse_tags(lines)
    except MalformedTags:
        pass


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=5))
def test_tags_read_back_as_they_were_written(versions: list[int]) -> None:
    assert parse_tags([" , ".join(map(entity_tag, versions))]) == [(False, f"v{version}") for version in versions]
