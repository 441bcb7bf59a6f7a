"""A student's fields between a form and the API: what was typed, what of it is new, and what clashes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TEXTS = (
    "student_number",
    "first_name",
    "middle_name",
    "last_name",
    "preferred_name",
    "email",
    "phone",
    "date_of_birth",
    "program",
    "status",
    "enrolled_on",
    "notes",
)
EDITABLE = (*TEXTS, "year", "guardians")
GUARDIAN_PARTS = ("name", "relation", "email", "phone")
MOST_GUARDIANS = 10


def blank() -> dict[str, Any]:
    """A student before anything is typed."""
    return {**dict.fromkeys(TEXTS, ""), "status": "enrolled", "year": "", "guardians": []}


def shown(student: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a student as a form holds them: text, and a list of guardians."""
    guardians = [{part: entry.get(part) or "" for part in GUARDIAN_PARTS} for entry in student["guardians"]]
    texts = {name: _text(student.get(name)) for name in (*TEXTS, "year")}
    return {**texts, "guardians": guardians}


def typed(form: Mapping[str, Any]) -> dict[str, Any]:
    """What a form was sent with; a guardian without any text is none."""
    found: dict[str, Any] = {name: _clean(form.get(name)) for name in (*TEXTS, "year")}
    return {**found, "guardians": [entry for entry in guardian_rows(form) if any(entry.values())]}


def guardian_rows(form: Mapping[str, Any]) -> list[dict[str, str]]:
    """The guardians of a form as they stand there, the empty ones too."""
    return [
        {part: _clean(form.get(f"guardians.{index}.{part}")) for part in GUARDIAN_PARTS}
        for index in range(MOST_GUARDIANS + 1)
        if f"guardians.{index}.name" in form
    ]


def for_api(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Form texts as the API takes them: nothing for an empty text, a number for the year when it is one."""
    return {name: _for_api(name, value) for name, value in fields.items()}


def differing(fields: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not as they were."""
    return {name: fields[name] for name in EDITABLE if fields[name] != original.get(name)}


@dataclass(frozen=True)
class Clash:
    """One field in three versions; ``both`` when each side changed it, and not to the same."""

    field: str
    original: Any
    theirs: Any
    yours: Any
    both: bool
    choice: str
    """``theirs`` or ``yours``: what is taken unless the person says otherwise."""


def compare(original: Mapping[str, Any], theirs: Mapping[str, Any], yours: Mapping[str, Any]) -> list[Clash]:
    """Every field that one side or both have changed."""
    found = []
    for name in EDITABLE:
        before, other, own = original.get(name), theirs[name], yours[name]
        if other == before and own == before:
            continue
        both = other != before and own not in (before, other)
        choice = "yours" if own != before else "theirs"
        found.append(Clash(name, before, other, own, both, choice))
    return found


def merged(theirs: Mapping[str, Any], yours: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """The record as it is now, with ``yours`` where that was chosen."""
    return {name: yours[name] if choices.get(name) == "yours" else theirs[name] for name in EDITABLE}


def errors_at(errors: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The errors of the fields below ``prefix``."""
    return {name: message for name, message in errors.items() if name == prefix or name.startswith(prefix + ".")}


def unplaced(errors: Mapping[str, str], guardians: Sequence[Any]) -> dict[str, str]:
    """The errors that belong to no field of the form: they are shown above it."""
    known = set(TEXTS) | {"year"}
    known |= {f"guardians.{index}.{part}" for index in range(len(guardians)) for part in GUARDIAN_PARTS}
    return {name: message for name, message in errors.items() if name not in known}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _clean(value: Any) -> str:
    # Browsers send line ends as CR LF; the API keeps LF.
    return str(value).replace("\r\n", "\n").strip() if isinstance(value, str) else ""


def _for_api(name: str, value: Any) -> Any:
    if name == "guardians":
        return [{part: entry[part] or None for part in GUARDIAN_PARTS} for entry in value]
    if value == "":
        return None
    if name == "year" and value.isascii() and value.isdigit() and len(value) < 5:
        return int(value)
    return value
