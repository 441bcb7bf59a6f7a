"""Cells are protected from being taken for formulas, and every text comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student_service.neutral import neutralised, restored

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@given(st.lists(st.sampled_from([*DANGEROUS, "'", "1", " ", "a"])).map("".join), st.booleans())
def test_every_text_comes_back_as_it_was(text: str, is_typed: bool) -> None:
    assert restored(neutralised(text, is_typed=is_typed)) == text


@given(st.sampled_from(DANGEROUS), st.text())
def test_nothing_that_begins_like_a_formula_stays_so(sign: str, rest: str) -> None:
    assert neutralised(sign + rest).startswith("'")


@pytest.mark.parametrize("text", ["+49 30 901820", "-5", "+1 (555) 0100 x3"])
def test_a_telephone_number_stays_as_it_is_where_the_cell_says_that_it_is_text(text: str) -> None:
    assert neutralised(text, is_typed=True) == text
    assert neutralised(text) == "'" + text


@pytest.mark.parametrize("text", ["+1+cmd|'x'!A1", "-2+A1", "=1", "@SUM(1)", "+SUM(1)"])
def test_what_calculates_is_protected_in_every_cell(text: str) -> None:
    assert neutralised(text, is_typed=True) == "'" + text


@pytest.mark.parametrize("text", ["", "Ann", "'quoted'", "1-2", "a=b", "007"])
def test_other_texts_are_left_alone(text: str) -> None:
    assert neutralised(text) == text == restored(text)
