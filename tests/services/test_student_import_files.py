"""Every kind of file that people send, and those that nobody should: read rightly or refused with a reason."""

from __future__ import annotations

import io
import zipfile
import zlib
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.support.student_files import ROSTER_USER, csv_text, roster, workbook, zipped
from tests.support.students import a_student
from tests.support.wait import until

HEADER = ["student_number", "first_name", "last_name", "email", "year", "date_of_birth", "notes"]
ROW = ["007", "Zoë", "Müller", "zoe@x.org", "9", "2011-03-05", "a"]


@pytest.fixture
def url(sqlite_url: str) -> str:
    return sqlite_url


def send(client: TestClient, content: bytes | str, **asked: Any) -> Any:
    """Import a file; the answer."""
    return client.post(
        "/students/import", content=content, headers={"Content-Type": "application/octet-stream"}, params=asked
    )


def refused(client: TestClient, content: bytes | str, **asked: Any) -> str:
    """The reason why a file is refused."""
    answer = send(client, content, **asked)
    assert answer.status_code == 422, (answer.status_code, answer.text[:300])
    assert client.get("/students").json()["total"] == 0
    return str(answer.json()["detail"])


def only_student(client: TestClient) -> dict[str, Any]:
    [student] = client.get("/students").json()["items"]
    return dict(student)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_text_is_read_in_every_usual_form(client: TestClient, encoding: str, delimiter: str, line_end: str) -> None:
    text = csv_text([HEADER, [*ROW[:2], 'O"Neill, ; \t Müller', *ROW[3:]]], delimiter).replace("\r\n", line_end)
    answer = send(client, text.encode(encoding))
    assert answer.status_code == 201, answer.text
    student = only_student(client)
    assert (student["first_name"], student["last_name"]) == ("Zoë", 'O"Neill, ; Müller')
    assert (student["student_number"], student["year"], student["date_of_birth"]) == ("007", 9, "2011-03-05")


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_first_line_may_name_the_delimiter_as_excel_has_it(client: TestClient, first: str, encoding: str) -> None:
    text = f"{first}\r\nfirst_name;last_name;email;notes\r\nZoë;Xu;zoe@x.org;a, b, c, d, e\r\nBo;Xu;nobody;\r\n"
    rows = send(client, text.encode(encoding), all_or_nothing="false").json()["rows"]["items"]
    assert [(row["line"], row["outcome"]) for row in rows] == [(3, "created"), (4, "error")]
    assert only_student(client)["notes"] == "a, b, c, d, e"


def test_lines_are_those_of_the_file(client: TestClient) -> None:
    text = '\r\nfirst_name,last_name,email,notes\r\nA,A,a@x.org,"1\r\n2\n3"\r\n\r\nB,B,b@x.org,\r\nC,C,nobody,\r\n'
    answer = send(client, text, all_or_nothing="false")
    rows = answer.json()["rows"]["items"]
    assert [(row["line"], row["outcome"]) for row in rows] == [(3, "created"), (7, "created"), (8, "error")]


def test_a_workbook_is_read_as_its_cells_look(client: TestClient) -> None:
    rows: list[list[Any]] = [
        HEADER,
        ["007", "Zoë", "Müller", "zoe@x.org", 9, date(2011, 3, 5), "two\nlines"],
        [],
        [2026, "Bo", "Xu", "bo@x.org", 9.0, datetime(2012, 1, 1), None],  # noqa: DTZ001 - as a spreadsheet has it
    ]
    answer = send(client, workbook(rows, hidden_first=True))
    assert answer.status_code == 201, answer.text
    assert [row["line"] for row in answer.json()["rows"]["items"]] == [2, 4]
    found = {s["student_number"]: s for s in client.get("/students").json()["items"]}
    assert (found["007"]["year"], found["007"]["date_of_birth"], found["007"]["notes"]) == (
        9,
        "2011-03-05",
        "two\nlines",
    )
    assert (found["2026"]["year"], found["2026"]["date_of_birth"]) == (9, "2012-01-01")


def sheet(xml: str, **parts: str) -> bytes:
    """A workbook of these parts, as another program might write them."""
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    return zipped(
        {
            "xl/workbook.xml": f'<x:workbook xmlns:x="m" xmlns:r="{relation}"><x:sheets>'
            '<x:sheet name="a" sheetId="1" r:id="q"/></x:sheets></x:workbook>',
            "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="q" Target="/xl/w/s.xml"/></Relationships>',
            "xl/w/s.xml": xml,
            **{f"xl/{name}.xml": part for name, part in parts.items()},
        }
    )


def test_a_workbook_of_another_program_is_read_too(client: TestClient) -> None:
    texts = "".join(f"<si>{text}</si>" for text in (
        "<t>first_name</t>", "<t>last_name</t>", "<t>email</t>", "<r><t>Ri</t></r><r><t>ch</t></r><rPh><t>no</t></rPh>",
    ))  # fmt: skip
    rows = (
        '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="s"><v>2</v></c></row>'
        '<row r="5"><c r="A5" t="s"><v>3</v></c><c r="C5" t="str"><f>A1</f><v>r@x.org</v></c>'
        '<c r="B5" t="inlineStr"><is><t>_x0041_b</t></is></c></row>'
    )
    answer = send(
        client, sheet(f"<worksheet><sheetData>{rows}</sheetData></worksheet>", sharedStrings=f"<sst>{texts}</sst>")
    )
    assert answer.status_code == 201, answer.text
    assert [row["line"] for row in answer.json()["rows"]["items"]] == [5]
    assert (only_student(client)["first_name"], only_student(client)["last_name"]) == ("Rich", "Ab")


def bomb(megabytes: int) -> bytes:
    """A workbook whose sheet is this large unpacked."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(sheet("<worksheet/>"))) as source,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            if name != "xl/w/s.xml":
                target.writestr(name, source.read(name))
        with target.open("xl/w/s.xml", "w", force_zip64=True) as part:
            for _ in range(megabytes):
                part.write(b" " * 2**20)
    return content.getvalue()


EVIL_CELL = "<worksheet><sheetData><row><c><v>&b;</v></c></row></sheetData></worksheet>"
LAUGHS = f'<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>{EVIL_CELL}'
XXE = f'<!DOCTYPE w [<!ENTITY b SYSTEM "file:///etc/passwd">]>{EVIL_CELL}'
NEEDED = "first_name,last_name,email\r\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\r\n \r\n", "header|empty|no column"),
        (NEEDED.encode(), "no rows"),
        (b"\x00\x01\x02\x03" * 100, "isn't text"),
        (b"first_name,last_name,email\r\na\x81\xff,b,c\r\n", "neither UTF-8 nor"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "old Excel"),
        (b"PK\x03\x04 not a zip", "damaged"),
        (zipped({"a.txt": "x"}), "neither an Excel"),
        (zipped({"manifest.csv": "propertyName,value\r\noneroster.version,1.1\r\n"}), "isn't OneRoster 1.2"),
        (zipped({"manifest.csv": "propertyName,value\r\noneroster.version,1.2\r\n"}), "no users"),
        (roster([], mode="absent"), "no users"),
        (zipped({"manifest.csv": "a,b\r\noneroster.version,1.2\r\nfile.users,bulk\r\n"}), "no roles.csv"),
        (zipped({"xl/workbook.xml": "<workbook"}), "damaged"),
        (zipped({"xl/workbook.xml": "<workbook/>", "xl/_rels/workbook.xml.rels": "<a/>"}), "no visible sheet"),
        (sheet("<worksheet><sheetData><row>"), "damaged"),
        (sheet(LAUGHS), "document type"),
        (sheet(XXE), "document type"),
        (sheet('<worksheet><sheetData><row><c r="ZZZ1"><v>1</v></c></row></sheetData></worksheet>'), "256 columns"),
        (sheet('<worksheet><sheetData><row><c t="s"><v>5</v></c></row></sheetData></worksheet>'), "doesn't have"),
        (sheet(f"<worksheet><sheetData><row><c><v>{'9' * 300_000}</v></c></row></sheetData></worksheet>"), "32,767"),
        (NEEDED + '"never closed,b,c\r\n', "quotation marks"),
        (NEEDED + '"a"b,c,d\r\n', "quotation marks"),
        (NEEDED + '"' + "x" * 200_000, "too long"),
        (NEEDED + "x" * 40_000 + ",b,c\r\n", "32,767"),
        (NEEDED + "," * 300 + "x\r\n", "256 columns"),
        ("first_name,last_name\r\na,b\r\n", "no column for email"),
        ("first_name,First Name,last_name,email\r\na,b,c,d\r\n", "Two columns go to first_name"),
        ("nothing,of,this\r\n1,2,3\r\n", "no column"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_reason(
    client: TestClient, content: bytes | str, reason: str
) -> None:
    told = refused(client, content)
    assert any(word in told for word in reason.split("|")), told


def test_a_bomb_is_refused_before_it_goes_off(client: TestClient) -> None:
    content = bomb(300)
    assert len(content) < 2**20
    assert "256 MiB" in refused(client, content)
    assert "damaged" in refused(client, bomb(1)[:-200])
    damaged = bytearray(zipped({"manifest.csv": "a,b\r\n" * 5000}))
    damaged[60] ^= 0xFF
    assert refused(client, bytes(damaged))


def test_control_characters_and_oversized_values_are_errors_of_their_rows(client: TestClient) -> None:
    rows = [
        ["A", "B", "ok@x.org"],
        ["A" * 500, "B", "l@x.org"],
        ["A", "B", "c@x.org", "extra"],
        ["A\x01", "B", "d@x.org"],
    ]
    answer = send(client, csv_text([["first_name", "last_name", "email"], *rows]))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [
        "line 3: first_name",
        "line 4: row",
        "line 5: first_name",
    ]


@pytest.mark.parametrize("media_type", ["application/json", "image/png", "", "text/html"])
def test_what_is_no_file_of_students_by_its_type_is_415(client: TestClient, media_type: str) -> None:
    answer = client.post("/students/import", content=b"x", headers={"Content-Type": media_type})
    assert answer.status_code == 415


def test_a_file_that_is_too_large_is_413_and_a_broken_form_400(client: TestClient) -> None:
    assert send(client, b"x" * (11 * 2**20)).status_code == 413
    headers = {"Content-Type": "multipart/form-data"}
    assert client.post("/students/import", content=b"--x\r\n", headers=headers).status_code == 400
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/students/import", content=b"nonsense", headers=headers).status_code in (400, 422)
    files = [("file", b"a"), ("file", b"b")]
    assert client.post("/students/import", files=files).status_code == 400


pieces = st.lists(
    st.sampled_from(
        [
            b"first_name,last_name,email\n",
            b"a,b,c@x.org\n",
            b'"',
            b"\r",
            b"\n",
            b";",
            b"\xff",
            b"\x00",
            b"PK\x03\x04",
            b"=1",
            b"\xef\xbb\xbf",
            b"\xff\xfe",
            b",,,",
            b"\xe2\x80\xa8",
        ]
    )
    | st.binary(max_size=20),
    max_size=12,
)


@pytest.mark.timeout(120)
def test_no_file_whatever_is_in_it_is_an_error_of_ours(client: TestClient) -> None:
    whole = zlib.compress(b"")  # a stream that is no zip
    books = [workbook([HEADER, ROW]), roster([ROSTER_USER])]

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(pieces.map(b"".join), st.sampled_from([None, *books]), st.integers(0, 4000), st.integers(1, 255))
    def holds(content: bytes, book: bytes | None, at: int, flip: int) -> None:
        if book is not None:
            damaged = bytearray(book)
            damaged[at % len(book)] ^= flip
            content = bytes(damaged)
        answer = send(client, content or whole, dry_run="true")
        assert answer.status_code in (200, 422), (answer.status_code, answer.text[:300])

    holds()


def test_a_large_file_is_answered_at_once_and_followed(client: TestClient) -> None:
    rows = [["first_name", "last_name", "email"]] + [["A", "B", a_student()["email"]] for _ in range(3000)]
    answer = send(client, csv_text(rows))
    assert answer.status_code in (201, 202)
    where = answer.headers["location"]
    if answer.status_code == 202:
        assert answer.headers["retry-after"] == "1"
    until(lambda: client.get(where).json()["state"] == "done", timeout=40)
    batch = client.get(where).json()
    assert (batch["rows_read"], batch["rows_applied"], batch["rows_total"]) == (3000, 3000, 3000)
    assert client.get("/students").json()["total"] == 3000
