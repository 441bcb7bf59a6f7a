"""The rules of a student: what is accepted, what is said about what isn't, and what a change amounts to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student_service import rules
from student_service.folding import email_key, fold, keys_of, search_terms, unique_key
from student_service.rules import InvalidStudent

TODAY = date(2026, 11, 24)
GIVEN = {"first_name": "Zoë", "last_name": "Müller", "email": "zoe@example.org"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def whole(**fields: Any) -> rules.Fields:
    return rules.clean_whole(GIVEN | fields, TODAY)


def errors_of(**fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidStudent) as caught:
        whole(**fields)
    return dict(caught.value.errors)


def test_three_fields_make_a_student() -> None:
    student = rules.clean_whole(GIVEN, TODAY)
    assert student.keys() == rules.FIELDS.keys()
    assert (student["status"], student["guardians"], student["student_number"]) == ("enrolled", [], None)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidStudent) as caught:
        rules.clean_whole({"email": "no", "year": 13, "colour": "red", "id": "1"}, TODAY)
    assert [field for field, _ in caught.value.errors] == ["colour", "id", "first_name", "last_name", "email", "year"]


def test_text_is_trimmed_and_composed() -> None:
    student = whole(first_name="  Zoe\u0308  Anna\u00a0Maria ", notes=" one\r\ntwo ")
    assert student["first_name"] == "Zoë Anna Maria"
    assert student["notes"] == "one\ntwo"


def test_nothing_but_blanks_is_nothing() -> None:
    assert whole(program="   ")["program"] is None
    assert errors_of(first_name=" \t ") == {"first_name": "must not be empty"}


@pytest.mark.parametrize("bad", ["a\x00b", "a\x1bb", "a\x7fb", "a\u2028b", "a\ud800b", "a\u202eb", "a\ufffeb", "a\nb"])
def test_a_name_has_no_control_characters(bad: str) -> None:
    assert "first_name" in errors_of(first_name=bad)


@pytest.mark.parametrize(
    "name", ["O’Brien-Smith", "सीता", "李小龍", "نور‌علی", "Nguyễn Thị Minh Khai", "X Æ A-12", "J."]
)
def test_names_of_any_script_are_names(name: str) -> None:
    assert whole(first_name=name)["first_name"]


@pytest.mark.parametrize("name", ["-", "...", "\u200d"])
def test_a_name_has_a_letter_or_a_digit(name: str) -> None:
    assert "last_name" in errors_of(last_name=name)


@pytest.mark.parametrize(
    "email", ["a@b.co", "Zoë@müller.example", "a.b+c_d@x-y.example.org", "o'neil@school.edu", "用户@例子.公司"]
)
def test_usual_addresses_are_accepted(email: str) -> None:
    assert whole(email=email)["email"] == email


@pytest.mark.parametrize(
    "email",
    ["", "a", "@b.co", "a@", "a@b", "a b@c.de", "a@b..de", ".a@b.de", "a..b@c.de", "a@-b.de", "a@b.de-", "a@@b.de",
     "a@b_.de,c@d.ef", "<a@b.de>", "x" * 65 + "@b.de", "a@" + "x" * 64 + ".de", "a@" + "x." * 150 + "de"],
)  # fmt: skip
def test_what_is_no_address_is_refused(email: str) -> None:
    assert "email" in errors_of(email=email)


@pytest.mark.parametrize(
    "phone", ["+49 (30) 901820", "020 7946 0000 ext 12", "555-0100", "112", "01.23.45.67.89", "5/6 7"]
)
def test_telephone_numbers_are_taken_as_people_write_them(phone: str) -> None:
    assert whole(phone=phone)["phone"] == phone


@pytest.mark.parametrize("phone", ["12", "call me", "+", "1" * 21, "++49 30", "1" + " " * 60 + "23x"])
def test_what_is_no_telephone_number_is_refused(phone: str) -> None:
    assert "phone" in errors_of(phone=phone)


@pytest.mark.parametrize("day", ["2026-11-25", "1899-12-31", "2025-02-29", "20110203", "2011-2-3", "٢٠١١-٠٢-٠٣", 1.5])
def test_a_date_of_birth_is_a_day_since_1900_and_not_in_the_future(day: object) -> None:
    assert "date_of_birth" in errors_of(date_of_birth=day)


def test_nobody_enrols_before_birth() -> None:
    assert "enrolled_on" in errors_of(date_of_birth="2011-02-03", enrolled_on="2011-02-02")
    assert whole(date_of_birth="2011-02-03", enrolled_on="2027-09-01")["enrolled_on"] == date(2027, 9, 1)
    assert "enrolled_on" in errors_of(enrolled_on="2037-01-01")


@pytest.mark.parametrize("year", [0, 13, True, 1.0, "one", 2**63, -(10**40)])
def test_a_year_is_a_whole_number_from_1_to_12(year: object) -> None:
    assert "year" in errors_of(year=year)


def test_guardians_have_fields_of_their_own() -> None:
    guardian = whole(guardians=[{"name": " Ann ", "email": "ann@example.org"}])["guardians"][0]
    assert guardian == {"name": "Ann", "relation": None, "email": "ann@example.org", "phone": None}
    wrong = errors_of(guardians=[{"name": "A"}, {"email": "x", "age": 3}, 7])
    assert wrong.keys() == {"guardians.1.name", "guardians.1.email", "guardians.1.age", "guardians.2"}
    assert "guardians" in errors_of(guardians=[{"name": "A"}] * 11)
    assert "guardians" in errors_of(guardians={})


def test_a_patch_changes_only_what_it_names() -> None:
    before = whole(program="Arts", year=3)
    after = rules.clean_changes(before, {"year": None, "notes": "hello", "guardians": None}, TODAY)
    assert after == before | {"year": None, "notes": "hello"}
    assert rules.difference(before, after) == [("year", 3, None), ("notes", None, "hello")]


@pytest.mark.parametrize("field", ["first_name", "last_name", "email", "status", "student_number"])
@pytest.mark.parametrize("empty", [None, "  "])
def test_a_patch_empties_no_field_that_must_exist(field: str, empty: str | None) -> None:
    before = whole(student_number="A1")
    with pytest.raises(InvalidStudent) as caught:
        rules.clean_changes(before, {field: empty}, TODAY)
    assert [wrong.field for wrong in caught.value.errors] == [field]


def test_a_patch_is_checked_against_what_it_leaves() -> None:
    before = whole(date_of_birth="2011-02-03")
    with pytest.raises(InvalidStudent):
        rules.clean_changes(before, {"enrolled_on": "2000-01-01"}, TODAY)


@given(st.dictionaries(st.sampled_from([*rules.FIELDS, *rules.SYSTEM_FIELDS, "x"]), json_values))
def test_any_json_is_either_a_student_or_told_why_not(body: dict[str, Any]) -> None:
    assert_student_or_errors(lambda: rules.clean_whole(body, TODAY))
    assert_student_or_errors(lambda: rules.clean_changes(whole(), body, TODAY))


def assert_student_or_errors(clean: Callable[[], rules.Fields]) -> None:
    try:
        student = clean()
    except InvalidStudent as invalid:
        told = invalid.errors
    else:
        told = []
        assert student.keys() == rules.FIELDS.keys()
    assert all(message for _, message in told)


@given(st.text(min_size=1, max_size=100))
def test_cleaning_twice_is_cleaning_once(name: str) -> None:
    try:
        once = whole(first_name=name)
    except InvalidStudent:
        return
    assert whole(first_name=once["first_name"]) == once
    assert rules.difference(once, rules.clean_changes(once, {"first_name": name}, TODAY)) == []


@given(st.text(max_size=50))
def test_folding_is_stable_and_ignores_case(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert unique_key(unique_key(text)) == unique_key(text)


@pytest.mark.parametrize(
    ("text", "folded"),
    [("MÜLLER", "muller"), ("Łukasz", "lukasz"), ("Straße", "strasse"), ("İstanbul", "istanbul"),
     ("ﬁn", "fin"), ("Ørsted", "orsted")],
)  # fmt: skip
def test_accents_and_case_fold_away(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_addresses_are_the_same_whatever_their_case_or_their_domains_spelling() -> None:
    assert email_key("Zoe@EXAMPLE.org") == email_key("zoe@example.ORG")
    assert email_key("a@müller.de") == email_key("A@xn--mller-kva.de")
    assert email_key("zoë@example.org") != email_key("zoe@example.org")


def test_shorter_names_sort_before_longer_ones() -> None:
    names = [("Smith", "Zoe"), ("Smithers", "Ann"), ("Smith", "Ann"), ("Šmith", "Bea")]
    keys = {
        name: keys_of({**whole(last_name=name[0], first_name=name[1]), "student_number": "1"})["last_name_key"]
        for name in names
    }
    assert sorted(names, key=lambda name: str(keys[name])) == [
        ("Smith", "Ann"), ("Šmith", "Bea"), ("Smith", "Zoe"), ("Smithers", "Ann"),
    ]  # fmt: skip


def test_a_search_is_its_words() -> None:
    assert search_terms("  MÜLLER  zoë müller ") == ["muller", "zoe"]
