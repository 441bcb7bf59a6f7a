"""Files of students as people send them: CSV, Excel workbooks from another program, OneRoster archives."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from typing import Any

import openpyxl

# The CSV Binding 1.2 of OneRoster, written down here once more: the service's own lists are held against these.
USERS = [
    "sourcedId", "status", "dateLastModified", "enabledUser", "username", "userIds", "givenName", "familyName",
    "middleName", "identifier", "email", "sms", "phone", "agentSourcedIds", "grades", "password",
    "userMasterIdentifier", "preferredGivenName", "preferredMiddleName",
    "preferredFamilyName", "primaryOrgSourcedId", "pronouns",
]  # fmt: skip
ROLES = [
    "sourcedId", "status", "dateLastModified", "userSourcedId", "roleType", "role", "beginDate", "endDate",
    "orgSourcedId", "userProfileSourcedId",
]  # fmt: skip
ORGS = [
    "sourcedId", "status", "dateLastModified", "name", "type", "identifier", "parentSourcedId",
]  # fmt: skip


ROSTER_USER = {
    "sourcedId": "u1",
    "enabledUser": "true",
    "givenName": "Zoë",
    "familyName": "Ott",
    "identifier": "S1",
    "email": "z@x.org",
    "grades": "09",
}


def csv_text(rows: Sequence[Sequence[Any]], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def csv_rows(content: bytes) -> list[dict[str, str]]:
    """A CSV file as a spreadsheet reads it."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def workbook(rows: Sequence[Sequence[Any]], *, hidden_first: bool = False) -> bytes:
    """An Excel workbook as openpyxl writes it."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    if hidden_first:
        sheet.sheet_state = "hidden"
        sheet["A1"] = "nothing to see"
        sheet = book.create_sheet("Students")
    for row in rows:
        sheet.append(list(row))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def zipped(parts: dict[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return content.getvalue()


def roster(
    users: Sequence[dict[str, str]],
    *,
    mode: str = "bulk",
    version: str = "1.2",
    roles: dict[str, str] | None = None,
    has_roles: bool = True,
) -> bytes:
    """A OneRoster archive; everybody is a student unless ``roles`` says otherwise (sourcedId → role, "" for none)."""
    listed = [[user.get(name, "") for name in USERS] for user in users]
    has_role = [
        {"sourcedId": f"r{n}", "userSourcedId": user["sourcedId"], "roleType": "primary", "orgSourcedId": "o1",
         "role": (roles or {}).get(user["sourcedId"], "student")}
        for n, user in enumerate(users)
        if (roles or {}).get(user["sourcedId"]) != ""
    ]  # fmt: skip
    manifest = [("propertyName", "value"), ("manifest.version", "1.0"), ("oneroster.version", version)]
    manifest += [("file.users", mode), ("file.roles", mode if has_roles else "absent"), ("file.orgs", "absent")]
    parts: dict[str, str | bytes] = {
        "manifest.csv": csv_text(manifest),
        "users.csv": csv_text([USERS, *listed]),
        "roles.csv": csv_text([ROLES, *([role.get(name, "") for name in ROLES] for role in has_role)]),
    }
    return zipped({name: part for name, part in parts.items() if has_roles or name != "roles.csv"})
