"""A registrar at work: adds, edits with If-Match, runs into a colleague's edit, deletes, restores, imports a file."""

from __future__ import annotations

import csv
import io
import random
import secrets
from typing import Any

from locust import tag, task

from loadtests import answers_checked
from loadtests.answers_checked import Answer
from loadtests.scenario import Scenario

ROLE = "registrar"
PROGRAM = "Load test"
"""Browsing leaves students of this program alone: they come and go."""


CLASS_SIZE = 20


def new_student() -> dict[str, Any]:
    """A body that nobody else has sent."""
    word = secrets.token_hex(6)
    return {
        "first_name": random.choice(("Mina", "Omar", "Lena", "Jonas", "Aiko")),
        "last_name": random.choice(("Sørensen", "Haddad", "Novak", "Okafor", "Tanaka")),
        "email": f"load-{word}@example.org",
        "program": PROGRAM,
        "year": random.randint(1, 12),
    }


class Registrar(Scenario):
    """A person who writes."""

    scenario = "registrar"

    def prepare(self) -> None:
        self.accounts.token(ROLE)

    @tag("write", "create")
    @task(4)
    def add(self) -> None:
        """A student is added, now and then with a lost answer: the same key gives the same student."""
        token, body, key = self.accounts.token(ROLE), new_student(), secrets.token_hex(16)
        made = self._add(body, token, {"Idempotency-Key": key})
        if made is not None and random.random() < 0.2:
            self.call(
                "POST",
                "/students/",
                "/students/ same key",
                token=token,
                json=body,
                headers={"Idempotency-Key": key},
                expected=(201,),
                check=answers_checked.one_student(id=made["id"]),
            )

    @tag("write", "edit")
    @task(4)
    def edit(self) -> None:
        """A change with If-Match, and a second one from a page that is out of date."""
        token = self.accounts.token(ROLE)
        made = self._add(new_student(), token)
        if made is None:
            return
        path, etag = f"/students/{made['id']}", made["etag"]
        year = made["year"] % 12 + 1
        changed = self._patch(path, token, etag, {"year": year}, version=made["version"] + 1, year=year)
        if changed:
            self.call(
                "PATCH",
                path,
                "/students/{id} stale",
                token=token,
                json={"year": 1},
                headers={"If-Match": etag},
                expected=(412,),
            )

    @tag("write", "conflict")
    @task(1)
    def use_an_address_twice(self) -> None:
        """Somebody else has that e-mail address, whatever its case."""
        token, body = self.accounts.token(ROLE), new_student()
        if self._add(body, token) is None:
            return

        def names_the_field(answer: Answer) -> str | None:
            told = [error["field"] for error in answer.json().get("errors", ())]
            return (
                None if "email" in told or "email" in answer.json()["detail"] else "a 409 that doesn't name the field"
            )

        self.call(
            "POST",
            "/students/",
            "/students/ duplicate",
            token=token,
            json={**body, "email": body["email"].upper()},
            expected=(409,),
            check=names_the_field,
        )

    @tag("write", "delete")
    @task(2)
    def delete_and_restore(self) -> None:
        """A student is deleted, is gone, comes back, and its history tells of it."""
        token = self.accounts.token(ROLE)
        made = self._add(new_student(), token)
        if made is None:
            return
        path = f"/students/{made['id']}"
        if self.call("DELETE", path, "/students/{id}", token=token, expected=(204,)) is None:
            return
        self.call("GET", path, "/students/{id} deleted", token=token, expected=(404,))
        restored = answers_checked.one_student(id=made["id"], deleted_at=None)
        self.call("POST", f"{path}/restore", "/students/{id}/restore", token=token, check=restored)

        def tells_all(answer: Answer) -> str | None:
            return None if len(answer.json()["items"]) == 3 else "wrong body: a history that isn't whole"

        self.call("GET", f"{path}/history", "/students/{id}/history", token=token, check=tells_all)

    @tag("write", "import")
    @task(1)
    def import_a_class(self) -> None:
        """A small CSV file of new students; an answer of 202 would mean that it takes more than two seconds."""
        text = io.StringIO()
        writer = csv.DictWriter(text, new_student().keys())
        writer.writeheader()
        writer.writerows(new_student() for _ in range(CLASS_SIZE))

        def all_are_there(answer: Answer) -> str | None:
            body = answer.json()
            right = body["state"] == "done" and body["counts"] == {"created": CLASS_SIZE}
            return None if right else "wrong body: an import that didn't create every row"

        self.call(
            "POST",
            "/students/import",
            "/students/import",
            token=self.accounts.token(ROLE),
            data=text.getvalue().encode(),
            headers={"Content-Type": "text/csv; charset=utf-8"},
            expected=(201,),
            check=all_are_there,
        )

    def _add(self, body: dict[str, Any], token: str, headers: dict[str, str] | None = None) -> dict[str, Any] | None:
        answer = self.call(
            "POST",
            "/students/",
            "/students/",
            token=token,
            json=body,
            headers=headers,
            expected=(201,),
            check=answers_checked.one_student(
                email=body["email"], first_name=body["first_name"], last_name=body["last_name"], version=1
            ),
        )
        if answer is None:
            return None
        if not answer.headers.get("location", "").endswith(answer.json()["id"]):
            self.finding("/students/", "a Location that isn't the new student's")
        return {**answer.json(), "etag": answer.headers["etag"]}

    def _patch(self, path: str, token: str, etag: str, change: dict[str, Any], **expected: Any) -> bool:
        answer = self.call(
            "PATCH",
            path,
            "/students/{id}",
            token=token,
            json=change,
            headers={"If-Match": etag},
            check=answers_checked.one_student(**expected),
        )
        if answer is not None and answer.headers["etag"] == etag:
            self.finding("/students/{id}", "a change that left the ETag as it was")
        return answer is not None
