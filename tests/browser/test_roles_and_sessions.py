"""What each role is offered, and how sessions go on, end and come back while somebody works."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import PASSWORD, UiWorld
from tests.support.wait import until


def test_a_viewer_reads_and_is_offered_nothing_that_writes(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(program="Geology")
    vera = sign_in("vera")
    vera.expect(403)
    page = vera.page
    page.goto("/admin/students?program=Geology")
    expect(page.locator("[data-row]")).to_have_count(1)
    assert page.locator('input[name="id"], .bulk, a[href="/admin/students/new"]').count() == 0
    page.click("[data-open-row]")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Ada")
    offered = page.locator("main").inner_text()
    assert not re.search(r"\b(Edit|Delete|Revert|Change status)\b", offered)
    page.goto(f"/admin/students/{student['id']}/edit")
    expect(page.get_by_role("heading", level=1)).to_have_text("You can’t do this")
    vera.check_accessibility("no permission")


def test_tokens_are_renewed_in_the_middle_of_work(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student()
    page = sign_in("rita").page
    page.goto(f"/admin/students/{student['id']}/edit")
    page.fill("#f-middle_name", "Augusta")
    before = world.requests_to("auth_service", "/auth/refresh")
    # The token is due a second after it was made, so this waits for that second and no longer.
    page.wait_for_timeout(1_100)
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    until(lambda: world.requests_to("auth_service", "/auth/refresh") > before, timeout=10)


def test_a_session_that_ends_while_one_types_loses_nothing(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student()
    world.api("POST", "/auth/users/", json={"username": "ivan", "password": PASSWORD, "role": "registrar"})
    ivan = sign_in("ivan")
    ivan.expect(401)
    page = ivan.page
    page.goto(f"/admin/students/{student['id']}/edit")
    page.fill("#f-notes", "A long story, typed for an hour.")
    user = next(one for one in world.api("GET", "/auth/users/?q=ivan")["items"] if one["username"] == "ivan")
    world.api("POST", f"/auth/users/{user['id']}/revoke-sessions")
    page.locator(".form-foot .btn-primary").click()
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    expect(page.locator("#again-username")).to_be_visible()
    ivan.check_accessibility("signing in again")
    expect(page.locator("#again-username")).to_have_value("ivan")
    expect(page.locator("#again-password")).to_be_focused()
    page.fill("#again-password", PASSWORD)
    page.locator("#again-form button").click()
    expect(page.locator("#sign-in-again")).to_be_hidden()
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    assert world.read(student)["notes"] == "A long story, typed for an hour."


def test_a_disabled_user_is_out_at_the_next_click(world: UiWorld, sign_in: SignIn) -> None:
    user = world.api("POST", "/auth/users/", json={"username": "dora", "password": PASSWORD, "role": "viewer"})
    page = sign_in("dora").page
    world.api("PATCH", f"/auth/users/{user['id']}", json={"disabled": True})
    page.goto("/admin/students")
    page.wait_for_url("**/admin/login**")
    expect(page.get_by_text("Your session has ended")).to_be_visible()


def test_shortcuts_and_the_palette_find_a_student_and_can_be_turned_off(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(last_name="Zimmermann-Palette")
    rita = sign_in("rita")
    page = rita.page
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    rita.check_accessibility("the help sheet")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.locator("#palette input").press_sequentially("zimmermann-pal")
    expect(page.locator('#palette [role="option"]').first).to_contain_text("Zimmermann-Palette")
    rita.check_accessibility("the palette")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/admin/students/{student['id']}")
    page.keyboard.press("e")
    page.wait_for_url("**/edit")
    page.goto("/admin/students")
    page.keyboard.press("?")
    page.click("text=Turn them off")
    page.wait_for_url("**/admin/students")
    page.keyboard.press("?")
    page.keyboard.press("n")
    expect(page.locator("#help")).to_be_hidden()
    assert page.url.endswith("/admin/students")
    page.goto(f"/admin/students/{student['id']}/edit")
    page.fill("#f-notes", "Not to be saved by a key.")
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(500)
    assert page.url.endswith("/edit")
    assert world.read(student)["notes"] is None
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "plain"])
def test_a_form_from_before_one_signed_in_anew_loses_nothing(world: UiWorld, sign_in: SignIn, javascript: bool) -> None:
    student = world.student()
    rita = sign_in("rita", javascript=javascript)
    rita.expect(403)
    page = rita.page
    page.goto(f"/admin/students/{student['id']}/edit")
    page.fill("#f-notes", "Typed for an hour.")
    other = page.context.new_page()
    other.goto("/admin/students")
    other.locator("summary.account").click()
    other.get_by_role("button", name="Sign out", exact=True).click()
    other.wait_for_url("**/admin/login**")
    other.fill("#username", "rita")
    other.fill("#password", PASSWORD)
    other.click("button.btn-primary")
    other.wait_for_url("**/admin/")
    page.locator(".form-foot .btn-primary").click()
    if javascript:
        expect(page.locator("#problems")).to_contain_text("save once more")
        expect(page.locator("#f-notes")).to_have_value("Typed for an hour.")
        page.locator(".form-foot .btn-primary").click()
    else:
        page.click("text=Send it now")
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    assert world.read(student)["notes"] == "Typed for an hour."


def test_a_lost_connection_keeps_the_form_and_says_so(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student()
    rita = sign_in("rita")
    page = rita.page
    page.goto(f"/admin/students/{student['id']}/edit")
    page.fill("#f-middle_name", "Offline")
    page.route("**/edit", lambda route: route.abort())
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#problems")).to_contain_text("No connection")
    assert page.input_value("#f-middle_name") == "Offline"
    page.unroute("**/edit")
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    rita.complaints = [one for one in rita.complaints if "ERR_FAILED" not in one and "Failed to fetch" not in one]


def test_too_many_requests_are_answered_with_a_countdown(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student()
    rita = sign_in("rita")
    rita.expect(429)
    page = rita.page
    page.goto(f"/admin/students/{student['id']}/edit")
    page.route(
        "**/edit",
        lambda route: route.fulfill(
            status=429,
            headers={"Retry-After": "42", "X-Request-ID": "quote-me"},
            content_type="application/problem+json",
            body='{"title": "Too Many Requests"}',
        ),
    )
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#problems")).to_contain_text("Try again in 4")
    expect(page.locator("#problems")).to_contain_text("quote-me")
    rita.check_accessibility("too many requests")
