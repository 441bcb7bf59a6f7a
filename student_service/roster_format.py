"""The files of OneRoster 1.2 that we read and write: columns in the order of the CSV Binding 1.2, and our fields.

Pure. The binding lets a system add columns named ``metadata.…`` at the end: for what OneRoster has no column for.
"""

from __future__ import annotations

MANIFEST_HEADER = ("propertyName", "value")
USERS_HEADER = (
    "sourcedId", "status", "dateLastModified", "enabledUser", "username", "userIds", "givenName", "familyName",
    "middleName", "identifier", "email", "sms", "phone", "agentSourcedIds", "grades", "password",
    "userMasterIdentifier", "preferredGivenName", "preferredMiddleName", "preferredFamilyName",
    "primaryOrgSourcedId", "pronouns",
)  # fmt: skip
ROLES_HEADER = (
    "sourcedId", "status", "dateLastModified", "userSourcedId", "roleType", "role", "beginDate", "endDate",
    "orgSourcedId", "userProfileSourcedId",
)  # fmt: skip
ORGS_HEADER = ("sourcedId", "status", "dateLastModified", "name", "type", "identifier", "parentSourcedId")
METADATA = {
    "metadata.program": "program",
    "metadata.dateOfBirth": "date_of_birth",
    "metadata.enrolledOn": "enrolled_on",
    "metadata.enrolmentStatus": "status",
}
FIELDS_OF_COLUMNS = {
    "identifier": "student_number",
    "givenName": "first_name",
    "familyName": "last_name",
    "middleName": "middle_name",
    "preferredGivenName": "preferred_name",
    "email": "email",
    "phone": "phone",
    "grades": "year",
    **METADATA,
}
FILES = (
    "academicSessions", "categories", "classes", "classResources", "courses", "courseResources", "demographics",
    "enrollments", "lineItemLearningObjectiveIds", "lineItems", "lineItemScoreScales", "orgs",
    "resources", "resultLearningObjectiveIds", "results", "resultScoreScales", "roles", "scoreScales",
    "userProfiles", "userResources", "users",
)  # fmt: skip
