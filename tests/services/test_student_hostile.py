"""Values that a database or another JSON reader can't hold are told to the client, never a 500."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from student_service.rules import FIELDS
from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.students import a_student, student_app
from tests.support.wait import until

VALUES = {
    "lone surrogate": rb'"\ud800"',
    "raw lone surrogate": b'"\xed\xa0\x80"',
    "broken UTF-8": b'"\xff"',
    "NUL": rb'"a\u0000b"',
    "control": rb'"a\u001bb"',
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "1e400": b"1e400",
    "2^63": str(2**63).encode(),
    "-2^63-1": str(-(2**63) - 1).encode(),
    "5000 digits": b"9" * 5000,
    "deep list": b"[" * 5000 + b"]" * 5000,
    "shallow list": b"[" * 40 + b"]" * 40,
    "deep object": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "true": b"true",
    "float": b"1.5",
    "object": b'{"a": 1}',
    "list": b'["a"]',
    "long": b'"' + b"x" * 100_000 + b'"',
}


def test_each_hostile_value_in_each_field_is_422(client: TestClient) -> None:
    whole = orjson.dumps(a_student())[1:-1]
    path = client.post("/students/", json=a_student()).headers["location"]
    json_type = {"Content-Type": "application/json"}
    for field in FIELDS:
        others = b",".join(part for part in whole.split(b",") if not part.startswith(f'"{field}"'.encode()))
        for name, value in VALUES.items():
            member = f'"{field}":'.encode() + value
            for method, where, body in (
                ("POST", "/students/", b"{" + others + b"," + member + b"}"),
                ("PATCH", path, b"{" + member + b"}"),
            ):
                answer = client.request(method, where, content=body, headers=json_type)
                assert answer.status_code == 422, (method, field, name, answer.text[:300])
    assert client.get("/students").json()["total"] == 1
    assert client.get(path).json()["version"] == 1


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b"1", b"{", b"{} {}", b"\x00", b'{"a\\u0000": 1}', b"\xef\xbb\xbf{}"]
)
def test_what_is_no_json_object_is_422(client: TestClient, body: bytes) -> None:
    path = client.post("/students/", json=a_student()).headers["location"]
    for method, where in (("POST", "/students/"), ("PUT", path), ("PATCH", path)):
        answer = client.request(method, where, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, (method, answer.text)


def test_a_field_given_twice_counts_once(client: TestClient) -> None:
    body = orjson.dumps(a_student())[:-1] + b',"first_name":"Twice"}'
    answer = client.post("/students/", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["first_name"] == "Twice"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def test_any_json_in_any_field_is_taken_or_refused_and_comes_back_the_same(client: TestClient) -> None:
    path = client.post("/students/", json=a_student()).headers["location"]

    @settings(max_examples=60, deadline=None)
    @given(st.dictionaries(st.sampled_from(list(FIELDS)), json_values, min_size=1, max_size=3))
    def holds(body: dict[str, Any]) -> None:
        answer = client.patch(path, json=body)
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 200:
            assert client.get(path).content == answer.content
            assert client.patch(path, json=body).headers["etag"] == answer.headers["etag"]

    holds()


@pytest.mark.parametrize(
    "path", ["/students/%00", "/students/%ff", "/students/%ed%a0%80", "/students/..%2f..%2fetc", "/students/a/b/c"]
)
def test_a_hostile_path_is_refused(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (404, 422)
    assert client.patch(path, json={}).status_code in (404, 422)


def test_nobodys_data_is_in_the_logs(
    make_client: MakeClient, signing: Signing, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    client = make_client(student_app(signing, tmp_path, level="debug"))
    client.headers.update(signing.bearer())
    secret = {
        "first_name": "Qwertzia",
        "last_name": "Yxcvbnmia",
        "email": "geheimnis@example.org",
        "phone": "555-012345",
    }
    path = client.post("/students/", json=secret).headers["location"]
    client.post("/students/", json=secret)
    client.patch(path, json={"email": "geheimnis @", "notes": "Krankheit"})
    client.get("/students/?q=Qwertzia")
    client.delete(path)
    logged = ""

    def is_all_logged() -> bool:
        nonlocal logged
        logged += capfd.readouterr().out
        return "student_deleted" in logged and '"method":"DELETE"' in logged

    until(is_all_logged)
    assert path.rpartition("/")[2] in logged
    assert "student_created" in logged
    # Not "555" alone, which ids and times may have in them by chance.
    told = ("Qwertzia", "Yxcvbnmia", "geheimnis", "555-01", "55501", "Krankheit")
    assert not [word for word in told if word in logged]
