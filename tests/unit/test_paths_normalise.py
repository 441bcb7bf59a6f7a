"""One normal form for paths: same reading for everyone, or refused."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.paths import BadPath, check_query, normalise_path

HARMLESS = [
    "a",
    "Z",
    "0",
    "-",
    "_",
    "~",
    ".",
    "..",
    "...",
    "/",
    "!",
    "$",
    "&",
    "'",
    "(",
    ")",
    "*",
    "+",
    ",",
    "=",
    ":",
    "@",
]
DANGEROUS = ["%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "%00", "%25", "%252e", "%c0%af", "%C3%A9", "%41", "%4", "%",
             "//", " ", "\x00", "\x7f", "\xe9", "?", "#", "%e2%80%ae", "%20", "%zz", "[", "%5B", "%2B",
             "%c2%9b", "%C2%A9", "%c2"]  # fmt: skip

pieces = st.lists(st.sampled_from(HARMLESS + DANGEROUS), max_size=12).map(
    lambda parts: b"/" + "".join(parts).encode("latin-1")
)
anything = st.one_of(pieces, st.binary(max_size=40), st.binary(max_size=40).map(lambda raw: b"/" + raw))
many = settings(max_examples=400, deadline=None)  # many of them are refused at once


def normal(raw_path: bytes) -> bytes | None:
    try:
        return normalise_path(raw_path)
    except BadPath:
        return None


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/students",
        b"/students/",
        b"/students/0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f/history",
        b"/.well-known/jwks.json",
        b"/a/...",
        b"/a/..b/.c",
        b"/x/a+b,c=d:e@f!$&'()*~_-",
    ],
)
def test_ordinary_path_is_returned_as_it_is(path: bytes) -> None:
    assert normalise_path(path) is path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/%73tudents", b"/students"),
        (b"/%41%5A%7e", b"/AZ~"),
        (b"/caf%c3%a9", b"/caf%C3%A9"),
        (b"/%c2%a0%e2%82%80%dc%92", b"/%C2%A0%E2%82%80%DC%92"),
        (b"/a%20b", b"/a%20b"),
        (b"/a%3fb%23c", b"/a%3Fb%23c"),
        (b"/100%25", b"/100%25"),
        (b"/a%2Bb%40", b"/a+b@"),
    ],
)
def test_equivalent_spellings_share_one_form(path: bytes, expected: bytes) -> None:
    assert normalise_path(path) == expected


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (b"", "not_absolute"),
        (b"*", "not_absolute"),
        (b"students", "not_absolute"),
        (b"http://a/", "not_absolute"),
        (b"//", "empty_segment"),
        (b"//students", "empty_segment"),
        (b"/students//", "empty_segment"),
        (b"/auth/../students", "dot_segment"),
        (b"/auth/..", "dot_segment"),
        (b"/./students", "dot_segment"),
        (b"/.", "dot_segment"),
        (b"/auth/%2e%2e/students", "dot_segment"),
        (b"/auth/.%2E/students", "dot_segment"),
        (b"/%2e", "dot_segment"),
        (b"/auth%2f..%2fstudents", "forbidden_escape"),
        (b"/auth/..%5cstudents", "forbidden_escape"),
        (b"/auth/..%00/students", "forbidden_escape"),
        (b"/a%0d%0aX:y", "forbidden_escape"),
        (b"/a%7f", "forbidden_escape"),
        (b"/a%C2%80", "forbidden_escape"),
        (b"/nope/%c2%9b2Jx", "forbidden_escape"),
        (b"/%C3%A9%C2%9f/", "forbidden_escape"),
        (b"/auth/..;/students", "forbidden_character"),
        (b"/auth;x=y/students", "forbidden_character"),
        (b"/auth%3bx/students", "forbidden_escape"),
        (b"/auth\\..\\students", "forbidden_character"),
        (b"/auth/%252e%252e/students", "encoded_twice"),
        (b"/%25%32%65", "encoded_twice"),
        (b"/a%", "escape_malformed"),
        (b"/a%2", "escape_malformed"),
        (b"/a%zz", "escape_malformed"),
        (b"/a%u002e", "escape_malformed"),
        (b"/%c0%ae%c0%ae/", "invalid_utf8"),
        (b"/%e0%80%af", "invalid_utf8"),
        (b"/%f0%80%80%af", "invalid_utf8"),
        (b"/%ff", "invalid_utf8"),
        (b"/%ed%a0%80", "invalid_utf8"),
        (b"/caf\xc3\xa9", "forbidden_character"),
        (b"/a b", "forbidden_character"),
        (b"/a\x00", "forbidden_character"),
        (b"/a\n", "forbidden_character"),
        (b"/students\n", "forbidden_character"),
        (b"/a?b", "forbidden_character"),
        (b"/a#b", "forbidden_character"),
        (b"/a<b>", "forbidden_character"),
    ],
)
def test_ambiguous_path_is_refused(path: bytes, reason: str) -> None:
    with pytest.raises(BadPath) as refusal:
        normalise_path(path)
    assert refusal.value.reason == reason


@many
@given(anything)
@example(b"/%2e%2e/")
@example(b"/%25%32%65%25%32%65")
def test_normal_form_is_a_fixed_point(raw_path: bytes) -> None:
    path = normal(raw_path)
    if path is None:
        return
    assert normalise_path(path) == path


@many
@given(anything)
def test_no_reading_of_a_normal_path_has_a_dot_segment_or_another_slash(raw_path: bytes) -> None:
    path = normal(raw_path)
    if path is None:
        return
    once = unquote_to_bytes(path)
    for reading in (path, once, unquote_to_bytes(once)):
        segments = reading.split(b"/")
        assert b"." not in segments
        assert b".." not in segments
        assert reading.count(b"/") == raw_path.count(b"/")
        assert b"" not in segments[1:-1]
        assert not set(reading) & {0x5C, 0x3B, 0x7F, *range(0x20)}
    assert not re.search("[\x80-\x9f]", once.decode("utf-8"))


@many
@given(anything)
def test_normal_form_decodes_to_what_was_sent(raw_path: bytes) -> None:
    path = normal(raw_path)
    if path is None:
        return
    assert unquote_to_bytes(path) == unquote_to_bytes(raw_path)
    assert path == quote(unquote_to_bytes(raw_path), safe="/!$&'()*+,=:@~").encode()


@many
@given(anything, anything)
def test_two_paths_that_decode_alike_have_one_form(one: bytes, other: bytes) -> None:
    respelled = b"".join(b"%%%02x" % octet if octet != 0x2F else b"/" for octet in unquote_to_bytes(one))
    for left, right in ((one, respelled), (one, other)):
        if (normal(left) is None or normal(right) is None) or unquote_to_bytes(left) != unquote_to_bytes(right):
            continue
        assert normal(left) == normal(right)


@pytest.mark.parametrize("query", [b"", b"a=b&c", b"q=%C3%A9+x", b'q=[]{}|^`"<>\\;:@/?', b"%00", b"%1b%c2%9b"])
def test_query_of_visible_ascii_is_accepted(query: bytes) -> None:
    check_query(query)


@pytest.mark.parametrize("query", [b"a b", b"a\x00", b"\xe9", b"a#b", b"%", b"100%", b"%4", b"%zz", b"a\n", b"\x7f"])
def test_other_query_is_refused(query: bytes) -> None:
    with pytest.raises(BadPath):
        check_query(query)
