"""The main jobs by plain links and forms, in a browser that runs no scripts."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import PASSWORD, UiWorld


def test_a_student_is_found_added_and_edited(world: UiWorld, sign_in: SignIn) -> None:
    world.student(last_name="Plainlink")
    rita = sign_in("rita", javascript=False)
    rita.expect(422)
    page = rita.page
    page.fill("#q", "plainlink")
    page.press("#q", "Enter")
    expect(page.locator("[data-row]")).to_have_count(1)
    page.goto("/admin/students/new")
    page.fill("#f-first_name", "Nora")
    page.fill("#f-last_name", "Noscript")
    page.fill("#f-email", "not an address")
    page.click("text=Add guardian")
    page.fill("#f-guardians-0-name", "Otto Noscript")
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#f-email-problem")).to_be_visible()
    page.fill("#f-email", "nora.noscript@example.org")
    page.locator(".form-foot .btn-primary").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nora Noscript")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#toasts")).to_contain_text("was deleted")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nora Noscript")


def test_a_conflict_is_settled(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(program="Arts")
    rita = sign_in("rita", javascript=False)
    rita.expect(412)
    page = rita.page
    page.goto(f"/admin/students/{student['id']}/edit")
    world.api("PATCH", f"/students/{student['id']}", json={"program": "Music"})
    page.fill("#f-program", "Drama")
    page.locator(".form-foot .btn-primary").click()
    page.locator("fieldset", has_text="Program").get_by_label("Yours").check()
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    assert world.read(student)["program"] == "Drama"


def test_many_students_are_changed(world: UiWorld, sign_in: SignIn) -> None:
    students = world.students(2, program="Lacemaking")
    page = sign_in("rita", javascript=False).page
    page.goto("/admin/students?program=Lacemaking")
    for box in page.locator('input[name="id"]').all():
        box.check()
    page.locator(".bulk").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 2 students").click()
    expect(page.locator("#toasts")).to_contain_text("2 students deleted.")
    assert all(world.read(one)["deleted_at"] for one in students)


def test_the_theme_and_the_columns_are_chosen(sign_in: SignIn) -> None:
    page = sign_in("rita", javascript=False).page
    page.locator("summary.account").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.locator("summary", has_text="View").click()
    page.get_by_label("Date of birth").check()
    page.get_by_label("Compact").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("link", name="Date of birth")).to_be_visible()
    expect(page.locator("html")).to_have_class("density-compact")


def test_the_system_theme_follows_the_device(sign_in: SignIn) -> None:
    shades = {}
    for theme in ("light", "dark"):
        page = sign_in("rita", javascript=False, theme=theme).page
        expect(page.locator("html")).to_have_attribute("data-theme", "system")
        body = page.locator("body")
        shades[theme] = [
            body.evaluate(f"node => getComputedStyle(node).{name}") for name in ("backgroundColor", "color")
        ]
        page.goto("/admin/students/new")
        field = page.locator("#f-first_name")
        shades[theme].append(field.evaluate("node => getComputedStyle(node).backgroundColor"))
    assert shades == {
        "light": ["rgb(246, 247, 249)", "rgb(23, 32, 46)", "rgb(255, 255, 255)"],
        "dark": ["rgb(16, 21, 29)", "rgb(230, 234, 241)", "rgb(24, 31, 42)"],
    }


def test_a_session_that_ends_while_one_types_loses_nothing(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student()
    user = world.api("POST", "/auth/users/", json={"username": "olga", "password": PASSWORD, "role": "registrar"})
    olga = sign_in("olga", javascript=False)
    olga.expect(401)
    page = olga.page
    page.goto(f"/admin/students/{student['id']}/edit")
    page.fill("#f-notes", "Typed for an hour.")
    world.api("POST", f"/auth/users/{user['id']}/revoke-sessions")
    page.locator(".form-foot .btn-primary").click()
    expect(page.get_by_text("What you typed is kept")).to_be_visible()
    page.fill("#username", "olga")
    page.fill("#password", PASSWORD)
    page.click("button.btn-primary")
    page.click("text=Send it now")
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    assert world.read(student)["notes"] == "Typed for an hour."


def test_signing_out_ends_it(sign_in: SignIn) -> None:
    page = sign_in("rita", javascript=False).page
    page.locator("summary.account").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto("/admin/students")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
