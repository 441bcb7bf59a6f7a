"""Addresses and numbers in scripts that write vowels as marks on a letter, as most of India and South East Asia do."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.conftest import MakeClient
from tests.support.signing import Signing
from tests.support.students import a_student, student_app

HINDI = "अशोक@उदाहरण.भारत"
THAI = "สมศรี@ตัวอย่าง.ไทย"
TAMIL = "நிலா@உதாரணம்.இந்தியா"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def client(request: pytest.FixtureRequest, make_client: MakeClient, signing: Signing, tmp_path: Path) -> TestClient:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    client = make_client(student_app(signing, tmp_path, url))
    client.headers.update(signing.bearer())
    return client


def test_an_address_of_any_script_is_kept_unique_and_found(client: TestClient) -> None:
    for email in (HINDI, THAI, TAMIL):
        made = client.post("/students/", json=a_student(email=email))
        assert made.status_code == 201, made.text
        assert made.json()["email"] == email
        assert client.post("/students/", json=a_student(email=email)).json()["field"] == "email"
        found = client.get("/students/", params={"q": email}).json()["items"]
        assert [student["id"] for student in found] == [made.json()["id"]]
    as_ascii = HINDI.replace("उदाहरण.भारत", "xn--p1b6ci4b4b3a.xn--h2brj9c")
    assert client.post("/students/", json=a_student(email=as_ascii)).status_code == 409


def test_a_number_of_any_script_is_one(client: TestClient) -> None:
    made = client.post("/students/", json=a_student(student_number="कि-१२/अ"))
    assert made.status_code == 201, made.text
    assert made.json()["student_number"] == "कि-१२/अ"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "\u093fa@example.org"),  # a mark on nothing
        ("email", "a.\u093fb@example.org"),
        ("email", "a@\u093fexample.org"),
        ("email", "a@example-\u093f.org"),
        ("email", "a+\u0301@example.org"),
        ("student_number", "\u093f1"),
    ],
)
def test_a_mark_on_nothing_is_refused(client: TestClient, field: str, value: str) -> None:
    answer = client.post("/students/", json=a_student(**{field: value}))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
