"""Someone looks for students: lists, pages through, searches, opens one. Reads only."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from locust import tag, task

from loadtests import answers_checked
from loadtests.scenario import Scenario

ROLE = "viewer"
SORTS = ("last_name", "-last_name", "student_number", "-updated_at", "year", "email")
PAGES = 3
WORDS = ("an", "er", "li", "mar", "son", "ada", "ov")  # until names have been seen


class Browsing(Scenario):
    """A person who reads."""

    scenario = "browsing"
    seen: ClassVar[list[dict[str, Any]]] = []
    """Students that lists have shown, for searches and details; shared by all people of a process."""

    def prepare(self) -> None:
        self.accounts.token(ROLE)

    @tag("read", "list")
    @task(4)
    def list_students(self) -> None:
        """The first page in some order."""
        limit = random.choice((20, 20, 20, 50))
        answer = self.call(
            "GET",
            f"/students/?limit={limit}&sort={random.choice(SORTS)}",
            "/students/",
            token=self.accounts.token(ROLE),
            check=answers_checked.page_of_students(limit),
        )
        if answer is not None:
            self._remember(answer.json()["items"])

    @tag("read", "search")
    @task(3)
    def search(self) -> None:
        """A word that somebody's name begins with."""
        names = [student["last_name"] for student in self.seen if student["last_name"].isascii()]
        word = random.choice(names)[:4] if names else random.choice(WORDS)
        term = "".join(letter for letter in word if letter.isalpha()) or "a"
        self.call(
            "GET",
            f"/students/?q={term}&limit=20",
            "/students/?q=",
            token=self.accounts.token(ROLE),
            check=answers_checked.page_of_students(20, term=term),
        )

    @tag("read", "page")
    @task(1)
    def page_through(self) -> None:
        """Some pages of one list, each after the one before."""
        cursor, before = "", set[str]()
        for number in range(PAGES):
            answer = self.call(
                "GET",
                f"/students/?limit=20{cursor}",
                "/students/?cursor=" if number else "/students/",
                token=self.accounts.token(ROLE),
                check=answers_checked.page_of_students(20, after=before),
            )
            if answer is None or answer.json()["next_cursor"] is None:
                return
            before = {student["id"] for student in answer.json()["items"]}
            cursor = f"&cursor={answer.json()['next_cursor']}"

    @tag("read", "detail")
    @task(6)
    def open_one(self) -> None:
        """One student of those that a list has shown, now and then with its history."""
        if not self.seen:
            self.list_students()
            return
        student = random.choice(self.seen)
        token = self.accounts.token(ROLE)
        answer = self.call(
            "GET",
            f"/students/{student['id']}",
            "/students/{id}",
            token=token,
            check=answers_checked.one_student(id=student["id"], student_number=student["student_number"]),
        )
        if answer is not None and random.random() < 0.1:
            self.call(
                "GET",
                f"/students/{student['id']}",
                "/students/{id} If-None-Match",
                token=token,
                headers={"If-None-Match": answer.headers["etag"]},
                expected=(200, 304),
            )

    @tag("read", "stats")
    @task(1)
    def count(self) -> None:
        """The numbers of a dashboard."""

        def check(answer: answers_checked.Answer) -> str | None:
            body = answer.json()
            return None if sum(body["by_status"].values()) == body["total"] else "wrong body: the counts don't add up"

        self.call("GET", "/students/stats", "/students/stats", token=self.accounts.token(ROLE), check=check)

    @classmethod
    def _remember(cls, students: list[dict[str, Any]]) -> None:
        # Other scenarios delete what they made; those are not for looking up.
        cls.seen.extend(student for student in students if student["program"] != "Load test")
        del cls.seen[:-200]
