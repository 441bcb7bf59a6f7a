"""Whatever the gateway answers, and wherever one goes: what was typed stays, and there is a number to quote."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Dialog, Route, expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import UiWorld

PROBLEM = '{"type": "about:blank", "title": "Said by the gateway", "status": %d}'


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "Nothing you typed is lost"),
        (429, "a little too fast"),
        (502, "can’t be reached just now"),
        (503, "can’t be reached just now"),
        (504, "no answer in time"),
    ],
)
def test_an_error_of_the_gateway_itself_is_told_beside_the_form(
    world: UiWorld, sign_in: SignIn, status: int, words: str
) -> None:
    student = world.student()
    rita = sign_in("rita")
    rita.expect(status)
    page = rita.page
    headers = {"X-Request-ID": "quote-me", **({"Retry-After": "30"} if status == 429 else {})}

    def refuse(route: Route) -> None:
        route.fulfill(status=status, headers=headers, content_type="application/problem+json", body=PROBLEM % status)

    for path, fill, button in (
        (f"/admin/students/{student['id']}/edit", "#f-notes", ".form-foot .btn-primary"),
        (f"/admin/students/{student['id']}/status", "#f-reason", ".form-foot .btn-primary"),
    ):
        page.goto(path)
        if path.endswith("/status"):
            page.select_option("#f-status", "on_leave")
        page.fill(fill, "Typed for an hour.")
        page.route(f"**{path}", refuse)
        page.locator(button).click()
        expect(page.locator("#problems")).to_contain_text(words)
        expect(page.locator("#problems code")).to_have_text("quote-me")
        expect(page.locator(fill)).to_have_value("Typed for an hour.")
        page.unroute(f"**{path}")
        page.locator(button).click()
        page.wait_for_url(re.compile(rf"/{student['id']}($|\?)"))
    assert world.read(student)["notes"] == "Typed for an hour."
    assert world.read(student)["status"] == "on_leave"


def test_leaving_a_form_with_unsaved_changes_is_asked_about(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student()
    page = sign_in("rita").page
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.goto(f"/admin/students/{student['id']}/edit")
    page.fill("#f-notes", "Not saved.")
    page.get_by_role("link", name="Overview").click(no_wait_after=True)
    page.wait_for_event("dialog") if not asked else None
    assert asked == ["beforeunload"]
    expect(page.locator("#f-notes")).to_have_value("Not saved.")
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    page.get_by_role("link", name="Overview").click()
    page.wait_for_url("**/admin/")
    assert asked == ["beforeunload"]
