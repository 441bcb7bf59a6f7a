"""Users, sessions, profile, audit trail and overview in a real browser, against the whole system."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import PASSWORD, UiWorld

OTHER_PASSWORD = "seven amber lighthouses"
LOOKS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
in_every_look = pytest.mark.parametrize(("theme", "width"), LOOKS, ids=[f"{theme}-{width}" for theme, width in LOOKS])


def make_user(world: UiWorld, username: str, role: str = "viewer") -> str:
    made = world.api("POST", "/auth/users/", json={"username": username, "password": PASSWORD, "role": role})
    return str(made["id"])


def told(page: Page, text: str) -> None:
    expect(page.locator("#toasts")).to_contain_text(text)


def send(page: Page) -> None:
    page.locator(".form-foot .btn-primary").click()


@in_every_look
def test_pages_about_people_are_accessible(world: UiWorld, sign_in: SignIn, theme: str, width: int) -> None:
    name = f"x{theme}{width}." + "long-name" * 5
    user = make_user(world, name)
    world.student(program="A program with a very long name that goes on and on", year=3)
    ada = sign_in("ada", theme=theme, width=width)
    ada.expect(404, 409, 422)
    page = ada.page
    for path in (
        "/admin/",
        "/admin/users",
        "/admin/users?role=viewer&disabled=false&sort=-created_at",
        "/admin/users?q=nobodyhasthisname",
        "/admin/users/new",
        f"/admin/users/{user}",
        f"/admin/users/{user}/role",
        f"/admin/users/{user}/password",
        f"/admin/users/{user}/delete",
        f"/admin/users/{user}/sessions",
        "/admin/profile",
        "/admin/profile/sessions",
        "/admin/profile/password",
        "/admin/audit",
        "/admin/audit?actor=nobody",
        "/admin/audit?until=never",
        "/admin/users/01a20e28-0000-7000-8000-000000000000",
    ):
        page.goto(path)
        ada.check_accessibility()
    page.goto(f"/admin/users/{user}")
    page.locator("[data-open=delete-user]").click()
    expect(page.locator("#delete-user")).to_be_visible()
    ada.check_accessibility("the question before a user is deleted")
    page.goto("/admin/audit")
    page.locator(".cell-more summary").first.click()
    ada.check_accessibility("details of an entry")
    page.goto("/admin/users/new")
    page.fill("#f-username", name)
    page.fill("#f-password", "short")
    send(page)
    expect(page.locator(".field-problem").first).to_be_visible()
    ada.check_accessibility("a refused new user")


@in_every_look
def test_what_a_role_may_not_do_is_accessible_too(sign_in: SignIn, theme: str, width: int) -> None:
    vera = sign_in("vera", theme=theme, width=width)
    vera.expect(403)
    for path in ("/admin/", "/admin/profile", "/admin/users", "/admin/audit"):
        vera.page.goto(path)
        vera.check_accessibility()


def test_an_administrator_adds_changes_and_deletes_a_user(world: UiWorld, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    ada.expect(409, 422)
    page = ada.page
    page.goto("/admin/users")
    page.click("text=Add user")
    page.fill("#f-username", "Rita")
    page.check('input[value="registrar"]')
    page.fill("#f-password", PASSWORD)
    page.click("[data-reveal=f-password]")
    expect(page.locator("#f-password")).to_have_attribute("type", "text")
    send(page)
    expect(page.locator(".field-problem")).to_have_text("The user name is taken, in this or another case.")
    expect(page.locator("#f-username")).to_have_value("Rita")
    expect(page.locator('input[value="registrar"]')).to_be_checked()
    expect(page.locator("#f-password")).to_have_value("")
    page.fill("#f-username", "nadia")
    page.fill("#f-password", PASSWORD)
    send(page)
    told(page, "nadia can sign in now.")

    page.click("text=Change role")
    page.check('input[value="viewer"]')
    send(page)
    told(page, "nadia is a viewer now")
    page.click("#toasts >> text=Undo")
    told(page, "nadia is a registrar now")

    page.click("text=Disable")
    told(page, "nadia is disabled")
    expect(page.locator(".record-head .status")).to_have_text("Disabled")
    page.click("text=Enable")
    told(page, "nadia can sign in again.")

    page.click("text=Reset password")
    page.fill("#f-password", "password1234")
    send(page)
    expect(page.locator(".field-problem")).to_contain_text("attackers try first")
    page.fill("#f-password", OTHER_PASSWORD)
    send(page)
    told(page, "nadia has a new password")
    expect(page.locator(".timeline")).to_contain_text("Password reset")

    page.click("[data-open=delete-user]")
    page.click("#delete-user >> text=Cancel")
    expect(page.locator("#delete-user")).to_be_hidden()
    assert page.url.count("/delete") == 0, "with scripts the question is a dialog"
    page.click("[data-open=delete-user]")
    page.click("#delete-user >> text=Delete user")
    told(page, "nadia was deleted.")
    page.fill("#q", "nadia")
    expect(page.locator("#count")).to_have_text("0 users found")
    expect(page).to_have_url(re.compile(r"/admin/users\?q=nadia$"))


def test_all_that_works_without_javascript(world: UiWorld, sign_in: SignIn) -> None:
    user = make_user(world, "noor")
    ada = sign_in("ada", javascript=False)
    ada.expect(422)
    page = ada.page
    page.goto("/admin/users?q=noor")
    page.click("text=noor")
    page.click("text=Change role")
    page.check('input[value="registrar"]')
    send(page)
    told(page, "noor is a registrar now")
    page.click("text=Delete")
    page.wait_for_url(f"**/admin/users/{user}/delete")
    page.click("text=Delete user")
    told(page, "noor was deleted.")
    page.goto("/admin/audit")
    page.select_option("#f-event", "user_deleted")
    page.fill("#f-subject", "noor")
    page.click("text=Apply")
    expect(page.locator(".roll tbody tr")).to_have_count(1)
    page.goto("/admin/profile/password")
    page.fill("#f-current_password", "wrong")
    page.fill("#f-new_password", OTHER_PASSWORD)
    page.fill("#f-new_again", OTHER_PASSWORD)
    send(page)
    expect(page.locator(".field-problem")).to_have_text("This is not the current password.")
    page.goto("/admin/")
    expect(page.locator(".bars").first).to_be_visible()


def test_an_administrator_ends_one_session_and_then_all(world: UiWorld, sign_in: SignIn) -> None:
    user = make_user(world, "sven")
    phone, laptop = sign_in("sven").page, sign_in("sven").page
    page = sign_in("ada").page
    page.goto(f"/admin/users/{user}")
    expect(page.locator(".sessions-list li")).to_have_count(2)
    page.locator(".sessions-list li form button").first.click()
    told(page, "That session is ended.")
    expect(page.locator(".sessions-list li")).to_have_count(1)
    for other in (phone, laptop):
        other.goto("/admin/")
    assert sorted("login" in other.url for other in (phone, laptop)) == [False, True]
    page.click("text=End all")
    told(page, "sven is signed out everywhere.")
    for other in (phone, laptop):
        other.goto("/admin/")
        expect(other).to_have_url(re.compile("/admin/login"))


def test_a_changed_password_ends_the_other_sessions_and_not_this_one(world: UiWorld, sign_in: SignIn) -> None:
    make_user(world, "tove")
    here, there = sign_in("tove").page, sign_in("tove").page
    here.goto("/admin/profile")
    expect(here.locator(".tag-here")).to_have_count(1)
    here.click("text=Change password")
    here.fill("#f-current_password", PASSWORD)
    here.fill("#f-new_password", OTHER_PASSWORD)
    here.fill("#f-new_again", OTHER_PASSWORD)
    send(here)
    told(here, "Your password is changed.")
    expect(here.locator(".sessions-list li")).to_have_count(1)
    there.goto("/admin/students")
    expect(there).to_have_url(re.compile("/admin/login"))


def test_signing_out_everywhere_ends_every_browser(world: UiWorld, sign_in: SignIn) -> None:
    make_user(world, "ulla")
    here, there = sign_in("ulla").page, sign_in("ulla").page
    here.goto("/admin/profile")
    here.click("main >> text=Sign out everywhere")
    expect(here).to_have_url(re.compile(r"/admin/login\?signed=out"))
    there.goto("/admin/profile")
    expect(there).to_have_url(re.compile("/admin/login"))


def test_somebody_who_is_ended_while_typing_loses_nothing_but_the_password(world: UiWorld, sign_in: SignIn) -> None:
    make_user(world, "wim", "admin")
    wim = sign_in("wim")
    wim.expect(401)
    page = wim.page
    page.goto("/admin/users/new")
    page.fill("#f-username", "xenia")
    page.fill("#f-password", PASSWORD)
    page.context.clear_cookies()
    send(page)
    expect(page.locator("#sign-in-again")).to_be_visible()
    page.fill("#again-username", "wim")
    page.fill("#again-password", PASSWORD)
    page.locator("#again-form button").click()
    expect(page.locator("#sign-in-again")).to_be_hidden()
    expect(page.locator("#f-username")).to_have_value("xenia")
    send(page)
    told(page, "xenia can sign in now.")


def test_the_trail_follows_its_filters_and_back_works(world: UiWorld, sign_in: SignIn) -> None:
    user = make_user(world, "yara")
    for role in ("registrar", "viewer"):
        world.api("PATCH", f"/auth/users/{user}", json={"role": role})
    page = sign_in("ada").page
    page.goto("/admin/audit")
    page.fill("#f-subject", "yara")
    expect(page.locator("#count")).to_have_text("3 entries found")
    page.select_option("#f-event", "user_changed")
    expect(page.locator("#count")).to_have_text("2 entries found")
    expect(page.locator(".cell-what").first).to_contain_text("Now viewer")
    expect(page).to_have_url(re.compile(r"/admin/audit\?event=user_changed&subject=yara$"))
    page.locator("tbody a", has_text="yara").first.click()
    page.wait_for_url(f"**/admin/users/{user}")
    page.go_back()
    expect(page.locator("#count")).to_have_text("2 entries found")
    expect(page.locator("#f-subject")).to_have_value("yara")


def test_the_overview_counts_and_leads_to_the_list(world: UiWorld, sign_in: SignIn) -> None:
    world.student(program="Lighthouse keeping", year=7, status="on_leave", last_name="Quay")
    page = sign_in("vera").page
    page.goto("/admin/")
    expect(page.locator(".feed")).to_contain_text("Quay")
    expect(page.locator("main")).not_to_contain_text("Recent sign-ins")
    expect(page.locator("main")).not_to_contain_text("Add student")
    page.locator(".bars a", has_text="On leave").click()
    page.wait_for_url("**/admin/students?status=on_leave")
    expect(page.locator("main")).to_contain_text("Quay")


def test_the_years_of_the_overview_stand_on_one_line(world: UiWorld, sign_in: SignIn) -> None:
    world.student(year=3)
    world.student(year=None)
    page = sign_in("ada").page
    page.goto("/admin/")
    columns = page.locator(".columns .column-cell")
    expect(columns).to_have_count(13)  # twelve years, and none
    assert len(set(columns.evaluate_all("all => all.map(one => Math.round(one.getBoundingClientRect().bottom))"))) == 1
