"""What a registrar does all day, in a real browser against the whole system."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import UiWorld


def test_a_student_is_added_found_edited_deleted_and_brought_back(world: UiWorld, sign_in: SignIn) -> None:
    rita = sign_in("rita")
    page = rita.page
    page.get_by_role("link", name="Add student").first.click()
    page.fill("#f-first_name", "Zoë")
    page.fill("#f-last_name", "Quillfeather")
    page.fill("#f-email", "zoe.quillfeather@example.org")
    page.click("text=Add guardian")
    page.fill("#f-guardians-0-name", "Anna Quillfeather")
    page.fill("#f-guardians-0-phone", "+49 30 901820")
    page.fill("#f-year", "7")
    page.locator(".form-foot .btn-primary").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Zoë Quillfeather")
    expect(page.locator("#toasts")).to_contain_text("Zoë Quillfeather was added.")
    expect(page.get_by_text("Anna Quillfeather", exact=True)).to_be_visible()

    page.goto("/admin/students")
    page.locator("#q").press_sequentially("quillf", delay=30)
    expect(page.locator("[data-row]")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/admin/students\?q=quillf$"))
    page.click("text=Quillfeather, Zoë")
    page.get_by_role("link", name="Edit").click()
    page.fill("#f-program", "Sciences")
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    expect(page.locator(".changes ins").first).to_have_text("Sciences")

    page.get_by_role("button", name=re.compile("Revert Program")).click()
    expect(page.locator("#toasts")).to_contain_text("Program is as it was before.")

    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#toasts")).to_contain_text("was deleted")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_contain_text("is back")
    found = world.api("GET", "/students/?q=quillfeather")["items"]
    assert [(one["year"], one["program"], one["deleted_at"]) for one in found] == [(7, None, None)]


def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(world: UiWorld, sign_in: SignIn) -> None:
    taken = world.student()
    rita = sign_in("rita")
    rita.expect(422, 409)
    page = rita.page
    page.goto("/admin/students/new")
    page.fill("#f-first_name", "Imre")
    page.fill("#f-last_name", "Nagy")
    page.fill("#f-email", "no address")
    page.fill("#f-notes", "Line one\nLine two")
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#f-email-problem")).to_be_visible()
    rita.check_accessibility("a form with errors")
    assert page.input_value("#f-notes") == "Line one\nLine two"
    page.fill("#f-email", taken["email"])
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#f-email-problem")).to_contain_text("already")
    page.fill("#f-email", "imre.nagy@example.org")
    page.locator(".form-foot .btn-primary").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Imre Nagy")


def test_enter_in_a_field_saves_and_removes_no_guardian(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(guardians=[{"name": "Anna"}])
    page = sign_in("rita").page
    page.goto(f"/admin/students/{student['id']}/edit")
    page.fill("#f-middle_name", "Augusta")
    page.press("#f-middle_name", "Enter")
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    changed = world.read(student)
    assert changed["middle_name"] == "Augusta"
    assert [one["name"] for one in changed["guardians"]] == ["Anna"]


def test_two_people_who_edit_at_once_choose_field_by_field(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(program="Arts", year=3, phone="100")
    rita = sign_in("rita")
    rita.expect(412)
    page = rita.page
    page.goto(f"/admin/students/{student['id']}/edit")
    world.api("PATCH", f"/students/{student['id']}", json={"program": "Music", "year": 4})
    page.fill("#f-program", "Drama")
    page.fill("#f-phone", "200")
    page.locator(".form-foot .btn-primary").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Someone else was faster")
    rita.check_accessibility("the conflict screen")
    program = page.locator("fieldset", has_text="Program")
    expect(program).to_contain_text("Both changed it")
    for version in ("Arts", "Music", "Drama"):
        expect(program).to_contain_text(version)
    program.get_by_label(re.compile("Theirs")).check()
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    merged = world.read(student)
    assert (merged["program"], merged["year"], merged["phone"]) == ("Music", 4, "200")


def test_a_student_deleted_meanwhile_can_be_restored_with_what_was_typed(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student()
    rita = sign_in("rita")
    rita.expect(409)
    page = rita.page
    page.goto(f"/admin/students/{student['id']}/edit")
    page.fill("#f-preferred_name", "Countess")
    world.api("DELETE", f"/students/{student['id']}")
    page.locator(".form-foot .btn-primary").click()
    expect(page.get_by_text("This student was deleted meanwhile")).to_be_visible()
    page.click("text=Restore and save")
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    assert (world.read(student)["preferred_name"], world.read(student)["deleted_at"]) == ("Countess", None)


def test_many_students_are_changed_at_once_and_it_is_undone(world: UiWorld, sign_in: SignIn) -> None:
    students = world.students(3, program="Weaving")
    page = sign_in("rita").page
    page.goto("/admin/students?program=Weaving")
    page.locator("[data-all]").check()
    expect(page.locator("[data-count]")).to_have_text("3")
    page.locator(".bulk").get_by_role("button", name="Year").click()
    page.fill("#f-new_year", "11")
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("3 students changed.")
    assert [world.read(one)["year"] for one in students] == [11, 11, 11]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Taken back")).to_be_visible()
    assert [world.read(one)["year"] for one in students] == [None, None, None]


def test_all_that_match_are_changed_beyond_the_page(world: UiWorld, sign_in: SignIn) -> None:
    world.students(52, program="Astronomy")
    page = sign_in("rita").page
    page.goto("/admin/students?program=Astronomy")
    page.locator("[data-all]").check()
    page.get_by_label("Select all 52 that match").check()
    page.locator(".bulk").get_by_role("button", name="Status").click()
    page.select_option("#f-new_status", "graduated")
    page.fill("#f-new_reason", "Class of 2026")
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#toasts")).to_contain_text("52 students changed.")
    assert world.api("GET", "/students/?program=Astronomy&status=graduated")["total"] == 52


def test_a_list_that_changed_meanwhile_is_told_with_its_number_of_now(world: UiWorld, sign_in: SignIn) -> None:
    world.students(52, program="Meteorology")
    rita = sign_in("rita")
    rita.expect(409)
    page = rita.page
    page.goto("/admin/students?program=Meteorology")
    page.locator("[data-all]").check()
    page.get_by_label("Select all 52 that match").check()
    page.locator(".bulk").get_by_role("button", name="Year").click()
    expect(page.locator(".page-sub")).to_have_text("All 52 students that match the list")
    world.student(program="Meteorology")
    page.fill("#f-new_year", "11")
    page.locator(".form-foot .btn-primary").click()
    expect(page.get_by_role("alert").filter(has_text="53 students")).to_be_visible()
    expect(page.locator(".page-sub")).to_have_text("All 53 students that match the list")
    rita.check_accessibility("changed meanwhile")
    page.get_by_role("button", name="Set the year of 53 students").click()
    expect(page.locator("#toasts")).to_contain_text("53 students changed.")


def test_a_status_changes_by_a_dated_event_with_a_reason(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student()
    rita = sign_in("rita")
    rita.expect(422)
    page = rita.page
    page.goto(f"/admin/students/{student['id']}")
    page.get_by_role("link", name="Change status").click()
    page.select_option("#f-status", "on_leave")
    page.fill("#f-on", "2999-01-01")
    page.fill("#f-reason", "A year abroad")
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator("#f-on-problem")).to_be_visible()
    page.fill("#f-on", "2026-09-01")
    page.locator(".form-foot .btn-primary").click()
    expect(page.locator(".enrolment")).to_contain_text("A year abroad")
    expect(page.locator(".enrolment")).to_contain_text("1 Sep 2026")


def test_pages_of_the_list_keep_back_working(world: UiWorld, sign_in: SignIn) -> None:
    world.students(51, program="Paging")
    page = sign_in("rita").page
    page.goto("/admin/students?program=Paging")
    expect(page.locator(".pager")).to_contain_text("1–50 of 51")
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("51–51 of 51")
    page.locator("[data-open-row]").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Ada")
    page.go_back()
    expect(page.locator(".pager")).to_contain_text("51–51 of 51")
    page.go_back()
    expect(page.locator(".pager")).to_contain_text("1–50 of 51")
    page.go_forward()
    page.get_by_role("link", name="Previous").click()
    expect(page.locator(".pager")).to_contain_text("1–50 of 51")


def test_after_signing_out_back_shows_nothing(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(last_name="Secretperson")
    page = sign_in("rita").page
    page.goto(f"/admin/students/{student['id']}")
    page.locator("summary.account").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.go_back()
    page.wait_for_url("**/admin/login**")
    assert "Secretperson" not in page.content()
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
