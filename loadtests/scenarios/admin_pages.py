"""Someone works in the admin UI: signs in by its form, looks at the list, searches, opens a student."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import gevent
from locust import tag, task

from loadtests import answers_checked
from loadtests.answers_checked import Answer
from loadtests.scenario import Scenario

CSRF = re.compile(r'name="csrf" value="([^"]+)"')
STUDENT = re.compile(r'href="(/admin/students/[0-9a-f]{8}-[0-9a-f-]{27})"')
LIST = "/admin/students"


class AdminPages(Scenario):
    """A person with a browser."""

    scenario = "admin-pages"

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._cookies: dict[str, str] = {}
        self._known: list[str] = []

    def prepare(self) -> None:
        self._account = self.accounts.shared("registrar")
        self._sign_in()

    @tag("pages", "list")
    @task(4)
    def look_at_the_list(self) -> None:
        """The whole page."""
        answer = self._page(LIST, LIST, "Students", "<table")
        if answer is not None:
            self._known = STUDENT.findall(answer.content.decode()) or self._known

    @tag("pages", "search")
    @task(3)
    def search(self) -> None:
        """What htmx asks for while one types: the results alone, not a page."""

        def is_a_part(answer: Answer) -> str | None:
            text = answer.content.decode()
            return None if 'id="results"' in text and "</html>" not in text else "wrong part: not the results alone"

        headers = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Source": "form#search"}
        self._get(f"{LIST}?q=an", f"{LIST}?q=", is_a_part, headers)

    @tag("pages", "detail")
    @task(4)
    def open_one(self) -> None:
        """One student's page."""
        if not self._known:
            self.look_at_the_list()
        for path in self._known[:1]:
            self._known.append(self._known.pop(0))
            self._page(path, f"{LIST}/{{id}}", "</main>")

    def _page(self, path: str, name: str, *needed: str) -> Answer | None:
        return self._get(path, name, answers_checked.html_page(*needed), {"Accept": "text/html"})

    def _get(self, path: str, name: str, check: answers_checked.Check, headers: dict[str, str]) -> Answer | None:
        return self.call("GET", path, name, headers={**headers, "Cookie": self._cookie()}, check=check)

    def _sign_in(self) -> None:
        """By the form, with its token; tried again while the system is busy."""
        while True:
            form = self.call("GET", "/admin/login", "/admin/login", check=answers_checked.html_page('name="csrf"'))
            if form is not None:
                self._keep_cookies(form)
                token = CSRF.search(form.content.decode())
                fields = {
                    "csrf": token[1] if token else "",
                    "username": self._account.username,
                    "password": self._account.password,
                    "next": LIST,
                }
                headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": self._cookie()}
                answer = self.call(
                    "POST",
                    "/admin/login",
                    "/admin/login",
                    data=urlencode(fields),
                    headers=headers,
                    expected=(303,),
                    check=lambda answer: None if answer.headers.get("location") == LIST else "sent elsewhere",
                )
                if answer is not None:
                    self._keep_cookies(answer)
                    return
            gevent.sleep(1)

    def _keep_cookies(self, answer: Answer) -> None:
        for line in answer.headers.get("set-cookie", "").splitlines():
            for name, morsel in SimpleCookie(line).items():
                self._cookies[name] = morsel.value

    def _cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())
