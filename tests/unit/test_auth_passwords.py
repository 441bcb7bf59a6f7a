import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auth_service.passwords import MAX_BYTES, MIN_CHARACTERS, is_measurable, normalise, objection

GOOD = "violet harbour 29 kites"


def test_a_long_uncommon_phrase_is_accepted() -> None:
    assert objection(GOOD, "maria") is None


@pytest.mark.parametrize(
    "password",
    [
        "kites harbour violet",  # no digit, no capital
        "пароль-от-сервера-42",
        "密码安全非常重要请记住它一定",
        "🦉🌊🪁🧭🎻🪐🦔🌵🧩🚲🍄🛶",
        "x" * 10 + " but not only x " * 20,
        "K7#qPz!m2Vw@",
    ],
)
def test_no_composition_rule_and_any_script_is_accepted(password: str) -> None:
    assert objection(password, "maria") is None


def test_sixty_four_characters_and_more_are_accepted() -> None:
    phrase = "correct horse battery staple and then some more words to be sure of it"
    assert len(phrase) >= 64
    assert objection(phrase, "maria") is None


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "elevenchars",
        "passwordpassword",
        "Password1234!",
        "p@ssw0rd2026",
        "qwertyuiop12",
        "123456789012",
        "abcdefghijkl",
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "1qaz2wsx3edc",
        "Dragon-2026-!",
        "iloveyou1234",
    ],
)
def test_what_attackers_try_first_is_refused(password: str) -> None:
    assert objection(password, "maria") is not None


@pytest.mark.parametrize("password", ["m.okafor2026", "M.Okafor-1234", "Matricula2026", "matriculamatricula"])
def test_a_password_made_of_names_is_refused(password: str) -> None:
    assert objection(password, "m.okafor") is not None


def test_a_name_inside_a_long_password_does_no_harm() -> None:
    assert objection("m.okafor walks along violet harbours", "m.okafor") is None


def test_length_is_counted_in_characters_and_not_in_bytes() -> None:
    assert objection("ü" * 3 + "öäßéàçñø", "maria") is not None  # 11 characters, 22 bytes


@given(st.text(max_size=MIN_CHARACTERS - 1))
def test_nothing_shorter_than_the_minimum_is_accepted(password: str) -> None:
    assume(len(normalise(password)) < MIN_CHARACTERS)
    assert objection(password, "maria") is not None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=16, max_size=200))
def test_the_same_text_in_another_normal_form_is_the_same_password(password: str) -> None:
    assert normalise(unicodedata.normalize("NFD", password)) == normalise(unicodedata.normalize("NFC", password))


@given(st.text(max_size=3 * MAX_BYTES))
def test_any_text_at_all_gets_a_verdict(password: str) -> None:
    verdict = objection(password, "maria")
    assert verdict is None or password == "" or len(password) < 8 or password not in verdict


@given(st.binary(min_size=16, max_size=32))
def test_random_passwords_are_accepted(secret: bytes) -> None:
    password = secret.hex()
    assume(len(set(password)) > 8)
    assert objection(password, "maria") is None


def test_a_lone_surrogate_or_too_many_bytes_is_not_measured() -> None:
    assert not is_measurable("\ud800")
    assert not is_measurable("ü" * MAX_BYTES)
    assert objection("\ud800" * 20, "maria") is not None
