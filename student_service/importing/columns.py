"""Which column of a file is which field, and what its cells say.

Pure: header and cells in, names and values out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from student_service.folding import fold
from student_service.importing.tables import FileTable, UnreadableFile
from student_service.neutral import restored
from student_service.rules import FIELDS, GUARDIAN_FIELDS, MAX_GUARDIANS

NUMBERED = re.compile(r"guardian_([1-9][0-9]?)_([a-z]+)")
NUMBERED_ALIKE = re.compile(r"(.+) \([0-9]+\)", re.DOTALL)
LINE_BREAKS = re.compile(r"[\r\n\t]+")
PLAIN_FIELDS = tuple(name for name in FIELDS if name != "guardians")
TARGETS = PLAIN_FIELDS + tuple(
    f"guardian_{number}_{name}" for number in range(1, MAX_GUARDIANS + 1) for name in GUARDIAN_FIELDS
)
# Other names that people give to the columns, folded and with underscores.
ALIASES = {
    "number": "student_number", "student_no": "student_number", "student_id": "student_number", "id_number":
    "student_number", "given_name": "first_name", "forename": "first_name", "firstname": "first_name",
    "middle_names": "middle_name", "surname": "last_name", "family_name": "last_name", "lastname": "last_name",
    "preferred": "preferred_name", "nickname": "preferred_name", "known_as": "preferred_name", "e_mail": "email",
    "email_address": "email", "e_mail_address": "email", "mail": "email", "telephone": "phone", "phone_number": "phone",
    "mobile": "phone", "dob": "date_of_birth", "birth_date": "date_of_birth", "birthdate": "date_of_birth",
    "birthday": "date_of_birth", "born": "date_of_birth", "programme": "program", "course": "program", "grade": "year",
    "year_group": "year", "enrolment_date": "enrolled_on", "enrollment_date": "enrolled_on", "enrolled": "enrolled_on",
    "note": "notes", "comments": "notes",
    **{f"guardian_{name}": f"guardian_1_{name}" for name in GUARDIAN_FIELDS},
}  # fmt: skip
KEYS = ("student_number", "email")
SOURCE = "sourced_id"  # no field of a student: the id that the sender's system has for them
SOURCE_COLUMN = "sourcedId"
LONGEST_SOURCE = 255


def assigned(table: FileTable, mapping: Mapping[str, str | None], *, needs_whole: bool) -> list[str | None]:
    """The field of each column; None for those that aren't used.

    Args:
        mapping: Column → field or None, as the sender says; other columns are known by their names.
        needs_whole: Whether every row is to be a new student, so that all required fields need a column.

    Raises:
        UnreadableFile: A column that the mapping names isn't there, two columns go to one field, or one is missing.
    """
    header = [_plain(name) for name in table.header]
    unknown = [name for name in mapping if _plain(name) not in header]
    if unknown:
        raise UnreadableFile("The mapping names a column that the file doesn't have.")
    fields = guessed(table, mapping)
    used = [field for field in fields if field is not None]
    doubled = sorted({field for field in used if used.count(field) > 1})
    if doubled:
        raise UnreadableFile(f"Two columns go to {doubled[0]}; say with the mapping which one to use.")
    missing = [name for name, rule in FIELDS.items() if rule.required and name not in used] if needs_whole else []
    if missing:
        raise UnreadableFile(f"There is no column for {', '.join(missing)}; name the columns so, or send a mapping.")
    if not any(name in used for name in (*KEYS, SOURCE)):
        raise UnreadableFile("There is no column for student_number or email, by which students are told apart.")
    return fields


def guessed(table: FileTable, mapping: Mapping[str, str | None]) -> list[str | None]:
    """The field of each column as far as it is known, whether or not that makes students."""
    said = {_plain(name): field for name, field in mapping.items()}
    header = [_plain(name) for name in table.header]
    if table.fixed is not None:
        return [said.get(name, table.fixed.get(raw)) for raw, name in zip(table.header, header, strict=True)]
    fields: list[str | None] = []
    for raw, name in zip(table.header, header, strict=True):
        if raw in mapping:  # said of this very column, not of one that is only called alike
            fields.append(mapping[raw])
        else:
            fields.append(said[name] if name in said else _known(_unnumbered(raw, table.header)))
    return fields


def _unnumbered(raw: str, header: Sequence[str]) -> str:
    """A column's name without the number that it got because another one has the same name."""
    numbered = NUMBERED_ALIKE.fullmatch(raw)
    return _plain(numbered[1] if numbered is not None and numbered[1] in header else raw)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", fold(name)).strip("_")


def _known(name: str) -> str | None:
    return name if name in TARGETS else ALIASES.get(name)


def values_of(
    cells: Sequence[str], fields: Sequence[str | None], *, is_neutralised: bool, keeps_empty: bool
) -> dict[str, Any]:
    """The fields that a row gives, as JSON would have them, not yet checked.

    Args:
        is_neutralised: Whether an apostrophe before what looks like a formula is to be taken off.
        keeps_empty: Whether an empty cell says nothing, rather than that the field is empty.
    """
    given: dict[str, Any] = {}
    guardians: dict[int, dict[str, str]] = {}
    for index, field in enumerate(fields):
        if field is None:
            continue
        cell = cells[index] if index < len(cells) else ""
        text = restored(cell).strip() if is_neutralised else cell.strip()
        if field != "notes":
            text = LINE_BREAKS.sub(" ", text)
        part = _guardian_part(field)
        if part is not None:
            entry = guardians.setdefault(part[0], {})
            if text:
                entry[part[1]] = text
        elif text:
            given[field] = _value(field, text)
        elif not keeps_empty and field not in ("student_number", "status", SOURCE):
            given[field] = None  # those are never empty: the student keeps them, or gets one made
    if guardians and not (keeps_empty and not any(guardians.values())):
        given["guardians"] = [guardians[number] for number in sorted(guardians) if guardians[number]]
    return given


def _value(field: str, text: str) -> Any:
    if field == "year" and re.fullmatch(r"[0-9]{1,3}", text):
        return int(text)
    if field == "status":
        return _plain(text)
    return text


@lru_cache(maxsize=1024)
def _guardian_part(field: str) -> tuple[int, str] | None:
    """Which guardian a field is about, and what of them; asked again for every row."""
    numbered = NUMBERED.fullmatch(field)
    return None if numbered is None else (int(numbered[1]), numbered[2])


def with_guardians(given: Mapping[str, Any], fields: Sequence[str | None], before: Sequence[Any]) -> list[Any]:
    """The guardians after a row: its own, and of those there were before the ones it has no columns for.

    A detail without a column stays what it is for the guardian of the same name.
    """
    parts = [part for field in fields if field is not None and (part := _guardian_part(field)) is not None]
    last = max((number for number, _ in parts), default=0)
    has_column = {name for _, name in parts}
    by_name = {guardian["name"]: guardian for guardian in before}
    merged = []
    for guardian in given["guardians"]:
        kept = by_name.get(guardian["name"], {})
        merged.append({name: guardian[name] if name in has_column else kept.get(name) for name in GUARDIAN_FIELDS})
    return [*merged, *before[last:]]
