"""The rules of a student: which fields there are, what each may hold, and what a change amounts to.

Pure: values in, values out, ``today`` passed in. ``Fields`` is always the whole of what people may set, with every
field of ``FIELDS`` present. Nothing here knows of HTTP, JSON or a database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from student_service import values

STATUSES = ("applicant", "enrolled", "on_leave", "graduated", "withdrawn")
DEFAULT_STATUS = "enrolled"
MIN_YEAR, MAX_YEAR = 1, 12
MAX_GUARDIANS = 10
MAX_REASON_LENGTH = 500
YEARS_AHEAD = 10  # how far an enrolment may be planned

SYSTEM_FIELDS = ("id", "version", "created_at", "created_by", "updated_at", "updated_by", "deleted_at")

Fields = dict[str, Any]


class Wrong(NamedTuple):
    """One thing wrong with one field; a field within a list is named like ``guardians.0.email``."""

    field: str
    message: str


class InvalidStudent(ValueError):
    """The values given are no student; ``errors`` says all that is wrong with them."""

    def __init__(self, errors: list[Wrong]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


@dataclass(frozen=True)
class Rule:
    """What a field may hold. ``empty`` stands for "nothing given"; a required field has no empty value."""

    clean: Callable[[Any, date], Any]
    required: bool = False
    empty: Any = None
    nullable: bool = True


def _text(max_length: int, *, lines: bool = False) -> Callable[[Any, date], Any]:
    return lambda value, _: values.clean_text(value, max_length, lines=lines) or None


def _name(max_length: int) -> Callable[[Any, date], Any]:
    return lambda value, _: values.clean_name(value, max_length) or None


def _enrolment_day(value: Any, today: date) -> date:
    return values.clean_date(value, date(today.year + YEARS_AHEAD, 12, 31))


GUARDIAN_FIELDS: dict[str, Rule] = {
    "name": Rule(_name(200), required=True),
    "relation": Rule(_text(50)),
    "email": Rule(lambda value, _: values.clean_email(value) or None),
    "phone": Rule(lambda value, _: values.clean_phone(value) or None),
}


def _guardians(value: Any, today: date) -> list[Fields]:
    if not isinstance(value, list):
        raise ValueError("must be a list")
    if len(value) > MAX_GUARDIANS:
        raise ValueError(f"must have at most {MAX_GUARDIANS} entries")
    errors: list[Wrong] = []
    guardians = []
    for index, entry in enumerate(value):
        if not isinstance(entry, Mapping):
            errors.append(Wrong(str(index), "must be an object"))
            continue
        try:
            guardians.append(_clean(GUARDIAN_FIELDS, entry, today))
        except InvalidStudent as invalid:
            errors += [Wrong(f"{index}.{field}", message) for field, message in invalid.errors]
    if errors:
        raise InvalidStudent(errors)
    return guardians


FIELDS: dict[str, Rule] = {
    "student_number": Rule(lambda value, _: values.clean_number(value, 32) or None),
    "first_name": Rule(_name(100), required=True),
    "middle_name": Rule(_name(100)),
    "last_name": Rule(_name(100), required=True),
    "preferred_name": Rule(_name(100)),
    "email": Rule(lambda value, _: values.clean_email(value) or None, required=True),
    "phone": Rule(lambda value, _: values.clean_phone(value) or None),
    "date_of_birth": Rule(values.clean_date),
    "program": Rule(_name(100)),
    "year": Rule(lambda value, _: values.clean_whole_number(value, MIN_YEAR, MAX_YEAR)),
    "status": Rule(lambda value, _: values.clean_choice(value, STATUSES), empty=DEFAULT_STATUS, nullable=False),
    "enrolled_on": Rule(_enrolment_day),
    "guardians": Rule(_guardians, empty=[]),
    "notes": Rule(_text(5000, lines=True)),
}


def clean_whole(given: Mapping[str, Any], today: date) -> Fields:
    """A whole student from what was given: for creating and for replacing.

    ``student_number`` is None when it wasn't given: the caller makes one or keeps the one there is.

    Raises:
        InvalidStudent: Something is missing, wrong or not a field.
    """
    fields = _clean(FIELDS, given, today)
    _check_together(fields)
    return fields


def clean_changes(current: Fields, given: Mapping[str, Any], today: date) -> Fields:
    """The whole student after a JSON merge patch (RFC 7396): null empties a field, what isn't named stays.

    Guardians are a list, so they are replaced as a whole (RFC 7396 §1).

    Raises:
        InvalidStudent: A value is wrong, a required field would be emptied, or a name is not a field.
    """
    errors = _unknown(FIELDS, given)
    fields = dict(current)
    for name in FIELDS.keys() & given.keys():
        rule = FIELDS[name]
        if given[name] is None and (rule.required or not rule.nullable or name == "student_number"):
            errors.append(Wrong(name, "must not be empty"))
            continue
        _clean_one(name, rule, given[name], today, fields, errors)
    if "student_number" in given and fields["student_number"] is None:
        errors.append(Wrong("student_number", "must not be empty"))
    if errors:
        raise InvalidStudent(errors)
    _check_together(fields)
    return fields


def clean_given(given: Mapping[str, Any], today: date) -> Fields:
    """Only the fields that are named, each by itself; null empties one that may be empty.

    Raises:
        InvalidStudent: A value is wrong, or a required field would be emptied.
    """
    errors = _unknown(FIELDS, given)
    fields: Fields = {}
    for name in FIELDS.keys() & given.keys():
        rule = FIELDS[name]
        if given[name] is None and (rule.required or not rule.nullable):
            errors.append(Wrong(name, "must not be empty"))
        else:
            _clean_one(name, rule, given[name], today, fields, errors)
    if errors:
        raise InvalidStudent(errors)
    return fields


def completed(given: Fields) -> Fields:
    """A new student from cleaned fields, the others empty or at their default.

    Raises:
        InvalidStudent: A required field is missing, or two don't go together.
    """
    missing = [Wrong(name, "is required") for name, rule in FIELDS.items() if rule.required and name not in given]
    if missing:
        raise InvalidStudent(missing)
    fields = {name: given.get(name, rule.empty) for name, rule in FIELDS.items()}
    _check_together(fields)
    return fields


def merged(current: Fields, given: Fields) -> Fields:
    """A student with some fields replaced by cleaned ones.

    Raises:
        InvalidStudent: Two fields don't go together.
    """
    fields = {name: given.get(name, current[name]) for name in FIELDS}
    _check_together(fields)
    return fields


class Event(NamedTuple):
    """A change of status as it happened: since which day and why."""

    status: str
    on: date
    reason: str


EVENT_FIELDS: dict[str, Rule] = {
    "status": Rule(lambda value, _: values.clean_choice(value, STATUSES), required=True),
    "on": Rule(values.clean_date),
    "reason": Rule(_text(MAX_REASON_LENGTH), required=True),
}


def clean_event(given: Mapping[str, Any], today: date) -> Event:
    """A change of status from what was given; it happened today unless a day is named.

    Raises:
        InvalidStudent: Something is missing, wrong, in the future or not known.
    """
    fields = _clean(EVENT_FIELDS, given, today)
    return Event(fields["status"], fields["on"] or today, fields["reason"])


def after_event(current: Fields, event: Event) -> Fields:
    """The whole student after a change of status.

    Raises:
        InvalidStudent: It has this status already, or wasn't born then.
    """
    errors = []
    if current["status"] == event.status:
        errors.append(Wrong("status", "is the student's status already"))
    if current["date_of_birth"] is not None and event.on < current["date_of_birth"]:
        errors.append(Wrong("on", "must not be before the date of birth"))
    if errors:
        raise InvalidStudent(errors)
    return {**current, "status": event.status}


class Change(NamedTuple):
    """One field before and after."""

    field: str
    old: Any
    new: Any


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What differs between two students, in the order of the fields; empty when nothing does."""
    return [Change(name, before[name], after[name]) for name in FIELDS if before[name] != after[name]]


NOTHING: Fields = {name: [] if name == "guardians" else None for name in FIELDS}
"""A student before there is one, to tell what its creation set."""


def _clean(rules: Mapping[str, Rule], given: Mapping[str, Any], today: date) -> Fields:
    errors = _unknown(rules, given)
    fields: Fields = {}
    for name, rule in rules.items():
        value = given.get(name)
        if value is not None:
            _clean_one(name, rule, value, today, fields, errors)
        elif rule.required:
            errors.append(Wrong(name, "must not be empty" if name in given else "is required"))
        elif name in given and not rule.nullable:
            errors.append(Wrong(name, "must not be empty"))
        else:
            fields[name] = rule.empty
    if errors:
        raise InvalidStudent(errors)
    return fields


def _clean_one(name: str, rule: Rule, value: Any, today: date, fields: Fields, errors: list[Wrong]) -> None:
    try:
        fields[name] = rule.empty if value is None else rule.clean(value, today)
    except InvalidStudent as invalid:
        errors += [Wrong(f"{name}.{field}", message) for field, message in invalid.errors]
    except ValueError as error:
        errors.append(Wrong(name, str(error)))
    else:
        if fields[name] is None and rule.required:
            errors.append(Wrong(name, "must not be empty"))


def _unknown(rules: Mapping[str, Rule], given: Mapping[str, Any]) -> list[Wrong]:
    names = [name for name in given if name not in rules]
    is_student = rules is FIELDS
    return [
        Wrong(_short(name), "is set by the system" if is_student and name in SYSTEM_FIELDS else "is not a known field")
        for name in names[:20]
    ]


def _short(name: str) -> str:
    return name if len(name) <= 64 else name[:63] + "…"


def _check_together(fields: Fields) -> None:
    born, enrolled = fields["date_of_birth"], fields["enrolled_on"]
    if born is not None and enrolled is not None and enrolled < born:
        raise InvalidStudent([Wrong("enrolled_on", "must not be before the date of birth")])
