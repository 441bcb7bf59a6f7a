"""What the services say of a field, as a person reads it."""

from __future__ import annotations

import pytest

from admin_ui.sentences import sentence


@pytest.mark.parametrize(
    ("field", "message", "read"),
    [
        ("reason", "is required", "The reason is required."),
        ("year", "must be between 1 and 12", "The year must be between 1 and 12."),
        ("email", "must look like name@example.org", "The e-mail address must look like name@example.org."),
        ("new_year", "must be a whole number", "The year must be a whole number."),
        ("guardians.0.email", "is required", "The e-mail address of guardian 1 is required."),
        ("guardian_2_name", "must not be empty", "The name of guardian 2 must not be empty."),
        ("guardians.1", "must be an object", "Guardian 2 must be an object."),
        ("guardians", "must have at most 8 entries", "The guardians must have at most 8 entries."),
        ("student_number", "or the e-mail address is needed to know the student",
         "The student number or the e-mail address is needed to know the student."),
        ("status", "must be one of applicant, on_leave", "The status must be one of Applicant, On leave."),
        ("enrolled_on", "must not be before the date of birth",
         "The day of enrolment must not be before the date of birth."),
        ("current_password", "is not the current password", "This is not the current password."),
        ("username", "Field required", "The user name is required."),
        ("username", "String should have at most 64 characters", "The user name should have at most 64 characters."),
        ("password", "The password needs at least 12 characters.", "The password needs at least 12 characters."),
        ("email", "Another student already has this e-mail address",
         "Another student already has this e-mail address."),
        ("cursor", "isn't a cursor", "The cursor isn’t a cursor."),
        ("ids", "give either ids or a filter", "Ids: give either ids or a filter."),
        ("", "can't be read", "Can’t be read."),
        ("year", "", ""),
        ("year", None, ""),
    ],
)  # fmt: skip
def test_a_problem_of_a_field_reads_as_a_sentence(field: str, message: str | None, read: str) -> None:
    assert sentence(message, field) == read
