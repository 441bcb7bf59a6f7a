"""What is wrong with a field as a sentence of its own, wherever it stands. Pure.

The services say it without the field, "must be between 1 and 12" or pydantic's "String should have …": here it gets
one. What is a sentence already ("Another student has …") stays as it is.
"""

from __future__ import annotations

import re
from typing import Any

from admin_ui.wording import FIELDS, STATUSES, field_label

SUBJECTS = {
    "email": "The e-mail address",
    "phone": "The phone number",
    "enrolled_on": "The day of enrolment",
    "on": "The day",
    "since": "The beginning",
    "until": "The end",
    "event": "This kind of event",
    "actor": "Who did it",
    "subject": "Whom it was done to",
    "q": "The search",
    "current_password": "This",
    "new_again": "This",
}
GUARDIAN = re.compile(r"guardians?[._](\d+)(?:[._](\w+))?")
BEGINS_WITH_VERB = re.compile(r"(?:is|isn't|are|was|has|have|must|may|can't|doesn't|should|deletes|goes|or)\b")
BEGINS_WITH_TYPE = re.compile(r"(?:Input|String|Value|Field|List|Datetime|Date) (?=should |is )")
STATUS = re.compile(r"\b(?:" + "|".join(STATUSES) + r")\b")


def sentence(message: Any, field: Any = "") -> str:
    """``is required`` about ``first_name`` as ``The first name is required.``; nothing when nothing is wrong."""
    text = re.sub(r"(?<=\w)'(?=\w)", "\N{RIGHT SINGLE QUOTATION MARK}", _whole(str(message or ""), str(field)))
    return f"{text.rstrip('.')}." if text else ""


def _whole(message: str, field: str) -> str:
    if message == "Field required":
        message = "is required"
    message = BEGINS_WITH_TYPE.sub("", message)
    if not message or message[0].isupper():
        return message
    name = field.removeprefix("new_") if field.removeprefix("new_") in FIELDS else field
    if name == "status":
        message = STATUS.sub(lambda found: STATUSES[found[0]], message)
    if name and BEGINS_WITH_VERB.match(message):
        return f"{_subject(name)} {message}"
    return f"{field_label(name)}: {message}" if name else message[0].upper() + message[1:]


def _subject(name: str) -> str:
    if name in SUBJECTS:
        return SUBJECTS[name]
    if guardian := GUARDIAN.fullmatch(name):
        number = int(guardian[1]) + (1 if name.startswith("guardians") else 0)
        part = {"email": "e-mail address", "phone": "phone number"}.get(guardian[2], guardian[2])
        return f"The {part} of guardian {number}" if part else f"Guardian {number}"
    label = field_label(name)
    return f"The {label[:1].lower()}{label[1:]}"
