"""A registrar's Monday without a mouse: many students added one after the other, many addresses put right."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import UiWorld


def type_on(page: Page, *texts: str) -> None:
    """Type into the fields in their order, from the one that has the focus on."""
    for number, text in enumerate(texts):
        if number:
            page.keyboard.press("Tab")
        page.keyboard.type(text)


def test_students_of_a_class_are_added_one_after_the_other(world: UiWorld, sign_in: SignIn) -> None:
    rita = sign_in("rita")
    page = rita.page
    expect(page.locator("#q")).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator("#f-first_name")).to_be_focused()
    type_on(page, "Mona", "", "Monday")
    page.fill("#f-email", "mona.monday@example.org")
    page.fill("#f-program", "Typing")
    page.fill("#f-year", "7")
    page.fill("#f-enrolled_on", "2026-09-01")
    page.keyboard.press("Control+Shift+Enter")

    expect(page.locator("#toasts")).to_contain_text("Mona Monday was added.")
    expect(page.locator("#f-first_name")).to_be_focused()
    # What the next one has in common stays, and nothing else.
    expect(page.locator("#f-program")).to_have_value("Typing")
    expect(page.locator("#f-year")).to_have_value("7")
    expect(page.locator("#f-enrolled_on")).to_have_value("2026-09-01")
    expect(page.locator("#f-last_name")).to_have_value("")
    rita.check_accessibility("the next student")
    type_on(page, "Tina", "", "Tuesday")
    page.fill("#f-email", "tina.tuesday@example.org")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tina Tuesday")
    assert world.api("GET", "/students/?program=Typing&year=7")["total"] == 2


def test_the_student_just_added_can_be_opened(sign_in: SignIn) -> None:
    page = sign_in("rita", javascript=False).page
    page.goto("/admin/students/new")
    page.fill("#f-first_name", "Wanda")
    page.fill("#f-last_name", "Wednesday")
    page.fill("#f-email", "wanda.wednesday@example.org")
    page.get_by_role("button", name="Add, then another").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add student")
    page.locator("#toasts").get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Wanda Wednesday")


def test_addresses_are_put_right_one_after_the_other(world: UiWorld, sign_in: SignIn) -> None:
    students = world.students(3, program="Cartography")
    page = sign_in("rita").page
    page.goto("/admin/students?program=Cartography&sort=-email")
    for student in students[:2]:
        page.keyboard.press("/")
        page.keyboard.type(student["last_name"])
        page.wait_for_url(f"**q={student['last_name']}&**")
        expect(page.locator("[data-row]")).to_have_count(1)
        page.keyboard.press("ArrowDown")
        expect(page.locator("[data-open-row]")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text(student["last_name"])
        page.keyboard.press("e")
        expect(page.locator("#f-first_name")).to_be_focused()
        page.fill("#f-email", f"new.{student['email']}")
        page.press("#f-email", "Enter")
        expect(page.locator("#toasts")).to_contain_text("Saved.")
        # Back in the same list, as it was filtered, sorted and searched.
        page.keyboard.press("u")
        page.wait_for_url(re.compile(r"/admin/students\?"))
        assert "program=Cartography" in page.url
        assert "sort=-email" in page.url
        expect(page.locator("#q")).to_have_value(student["last_name"])
    assert all(world.read(student)["email"].startswith("new.") for student in students[:2])


def test_a_deletion_and_a_change_of_status_lead_back_to_the_list(world: UiWorld, sign_in: SignIn) -> None:
    first, _ = world.students(2, program="Heraldry")
    page = sign_in("rita").page
    page.goto("/admin/students?program=Heraldry")
    page.get_by_role("link", name=first["last_name"]).click()
    page.get_by_role("link", name="Change status").click()
    expect(page.locator("#f-status")).to_be_focused()
    page.select_option("#f-status", "withdrawn")
    page.fill("#f-reason", "Moved away")
    page.press("#f-reason", "Enter")
    expect(page.locator("#toasts")).to_contain_text("The status is now: Withdrawn.")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#toasts")).to_contain_text("was deleted")
    assert "program=Heraldry" in page.url
    expect(page.locator("[data-row]")).to_have_count(1)


def test_the_focus_follows_the_guardians(world: UiWorld, sign_in: SignIn) -> None:
    page = sign_in("rita").page
    page.goto("/admin/students/new")
    add = page.get_by_role("button", name="Add guardian")
    add.click()
    expect(page.locator("#f-guardians-0-name")).to_be_focused()
    add.click()
    expect(page.locator("#f-guardians-1-name")).to_be_focused()
    page.get_by_role("button", name="Remove guardian 2").click()
    expect(page.locator("#f-guardians-0-name")).to_be_focused()
    page.get_by_role("button", name="Remove guardian 1").click()
    expect(add).to_be_focused()


def test_what_has_the_focus_is_never_under_a_bar(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(guardians=[{"name": "Eva Lovelace", "relation": "Mother"}])
    page = sign_in("rita", width=390).page
    page.set_viewport_size({"width": 390, "height": 420})
    page.emulate_media(reduced_motion="reduce")  # else it glides there
    page.goto(f"/admin/students/{student['id']}/edit")
    for key, least in (("Tab", 18), ("Shift+Tab", 18)):
        seen = 0
        for _ in range(24):
            page.keyboard.press(key)
            place = page.evaluate(
                """() => {
                    const node = document.activeElement, foot = document.querySelector(".form-foot");
                    if (foot.contains(node) || !node.matches(".form-control, .form-select, .btn-link, .btn")) {
                        return null;
                    }
                    const [box, bar] = [node.getBoundingClientRect(), foot.getBoundingClientRect()];
                    return {id: node.id || node.name, hidden: box.bottom > bar.top && box.top < bar.bottom};
                }"""
            )
            seen += place is not None
            assert place is None or not place["hidden"], (key, place)
        assert seen >= least


def test_a_notice_leaves_the_buttons_of_a_form_free(sign_in: SignIn) -> None:
    for width in (1280, 390):
        page = sign_in("rita", width=width).page
        page.goto("/admin/students/new")
        page.fill("#f-first_name", "Nils")
        page.fill("#f-last_name", "Notice")
        page.fill("#f-email", f"nils.notice{width}@example.org")
        page.get_by_role("button", name="Add, then another").click()
        expect(page.locator("#toasts")).to_contain_text("was added")
        page.get_by_role("button", name="Add student").click(trial=True)  # fails while something lies over it


def test_a_search_is_a_key_away_everywhere(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(last_name="Anywhere")
    page = sign_in("rita").page
    page.goto("/admin/imports")
    page.keyboard.press("/")
    page.keyboard.type("anywhere")
    expect(page.locator("#palette-results")).to_contain_text("Anywhere")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/admin/students/{student['id']}")
