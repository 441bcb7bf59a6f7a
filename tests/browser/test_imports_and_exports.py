"""Files in and out: the import wizard with errors and undo, and exports of what is shown."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import FilePayload, expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import UiWorld


def a_csv(*lines: str) -> FilePayload:
    return {"name": "list.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}


def test_a_file_with_errors_is_previewed_mapped_imported_and_undone(world: UiWorld, sign_in: SignIn) -> None:
    there = world.student(program="Old")
    rita = sign_in("rita")
    rita.expect(422)
    page = rita.page
    page.goto("/admin/imports/new")
    lines = (
        "Vorname,Nachname,Mail,Fach",
        "Wilma,Wizard,wilma.wizard@example.org,Alchemy",
        "Bruno,Wizard,no address,Alchemy",
        f"{there['first_name']},{there['last_name']},{there['email']},Alchemy",
    )
    page.set_input_files("#f-file", a_csv(*lines))
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.get_by_text("3 · What will happen").or_(page.locator(".note-bad"))).to_be_visible()
    rita.check_accessibility("columns to be mapped")
    for column, field in (("Vorname", "first_name"), ("Nachname", "last_name"), ("Mail", "email"), ("Fach", "program")):
        page.get_by_label(column, exact=True).select_option(field)
    page.get_by_role("button", name="Preview with these columns").click()
    expect(page.locator(".tally-create")).to_contain_text("1 to add")
    expect(page.locator(".tally-update")).to_contain_text("1 to change")
    expect(page.locator(".tally-error")).to_contain_text("1 not possible")
    expect(page.locator(".rows").first).to_contain_text("Line 3")
    rita.check_accessibility("a preview")
    assert world.read(there)["program"] == "Old"

    with page.expect_download() as download:
        page.get_by_role("link", name="Download the rows with errors").click()
    assert "Bruno" in Path(download.value.path()).read_text()

    page.get_by_label("Leave out the rows with errors (1)").check()
    page.get_by_role("button", name="Import now").click()
    expect(page.get_by_role("heading", name="Done", exact=True)).to_be_visible()
    rita.check_accessibility("an import's result")
    assert world.read(there)["program"] == "Alchemy"
    assert world.api("GET", "/students/?q=wilma wizard")["total"] == 1

    page.get_by_role("button", name="Undo it all").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Taken back")).to_be_visible()
    assert world.read(there)["program"] == "Old"
    assert world.api("GET", "/students/?q=wilma wizard")["total"] == 0
    page.goto("/admin/imports")
    expect(page.locator("main")).to_contain_text("Taken back")
    rita.check_accessibility("the list of imports")


def test_on_a_phone_columns_and_preview_fit(sign_in: SignIn) -> None:
    rita = sign_in("rita", width=390, theme="dark")
    page = rita.page
    page.goto("/admin/imports/new")
    header = "first_name,last_name,email,date_of_birth,program,year,Something that nobody knows"
    page.set_input_files("#f-file", a_csv(header, "Phil,Phone,phil.phone@example.org,2010-01-01,Arts,3,x"))
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator("#will")).to_be_visible()
    rita.check_accessibility("a preview on a phone")
    fields = page.locator(".mapping select").all()
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for field in fields if (box := field.bounding_box()))


def test_what_is_previewed_is_not_imported_once_the_form_says_something_else(world: UiWorld, sign_in: SignIn) -> None:
    page = sign_in("rita").page
    page.goto("/admin/imports/new")
    page.set_input_files("#f-file", a_csv("first_name,last_name,email", "Olaf,Outdated,olaf.outdated@example.org"))
    for change in (
        lambda: page.get_by_label("first_name", exact=True).select_option("preferred_name"),
        lambda: page.get_by_label("Empty cells").select_option("clear"),
        lambda: page.set_input_files("#f-file", a_csv("first_name,last_name,email", "Nora,New,nora.new@example.org")),
    ):
        page.get_by_role("button", name="Preview", exact=True).click()
        expect(page.locator("#will")).to_be_visible()
        change()
        expect(page.get_by_role("button", name="Import now")).to_have_count(0)
        expect(page.locator("#commit")).to_have_count(0)
    # Of another file nothing is left to be mapped, either.
    expect(page.locator(".mapping")).to_have_count(0)


def test_a_preview_with_errors_can_be_gone_on_with_later(world: UiWorld, sign_in: SignIn) -> None:
    page = sign_in("rita").page
    page.goto("/admin/imports/new")
    lines = ("first_name,last_name,email", "Lara,Later,lara.later@example.org", "Bea,Later,no address")
    page.set_input_files("#f-file", a_csv(*lines))
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator("#will")).to_be_visible()
    page.goto("/admin/imports")
    page.locator("[data-open-row]").first.click()
    page.get_by_role("button", name="Import all but the errors").click()
    expect(page.get_by_role("heading", name="Done", exact=True)).to_be_visible()
    assert world.api("GET", "/students/?q=lara later")["total"] == 1


def test_rows_of_an_import_lead_to_whom_they_are_about_and_so_does_who_was_left_by_its_undo(
    world: UiWorld, sign_in: SignIn
) -> None:
    there = world.student(program="Old", preferred_name="Addy")
    rita = sign_in("rita")
    page = rita.page
    page.goto("/admin/imports/new")
    changed = f"{there['first_name']},{there['last_name']},{there['email']},New"
    page.set_input_files("#f-file", a_csv("first_name,last_name,email,program", changed, "Nils,Rowe,nils@x.org,New"))
    page.get_by_role("button", name="Preview", exact=True).click()
    page.get_by_role("button", name="Import now").click()
    expect(page.get_by_role("heading", name="Done", exact=True)).to_be_visible()
    page.get_by_label("Rows").get_by_role("link", name="All rows").click()
    whom = page.locator("td[data-label='Student']")
    made = world.api("GET", "/students/?q=nils rowe")["items"][0]
    expect(whom).to_have_text(
        [f"Addy {there['last_name']}{there['student_number']}", f"Nils Rowe{made['student_number']}"]
    )
    rita.check_accessibility("rows of an import that is done")

    world.api("PATCH", f"/students/{there['id']}", json={"notes": "mine"})
    page.get_by_role("button", name="Undo it all").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Taken back")).to_be_visible()
    rita.check_accessibility("an import taken back but for one student")
    expect(page.get_by_label("Left alone")).to_have_text(f"Addy {there['last_name']}{there['student_number']}")
    page.get_by_label("Rows").get_by_role("link", name="All rows").click()
    expect(whom.last).to_have_text(f"Nils Rowe{made['student_number']} · deleted")
    page.get_by_label("Left alone").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Addy {there['last_name']}")


def test_a_file_that_would_change_nothing_is_not_offered_to_be_imported(world: UiWorld, sign_in: SignIn) -> None:
    there = world.student()
    page = sign_in("rita").page
    page.goto("/admin/imports/new")
    row = ",".join(there[name] for name in ("first_name", "last_name", "email"))
    page.set_input_files("#f-file", a_csv("first_name,last_name,email", row, "Bea,Nothing,no address"))
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.get_by_text("There is nothing to import")).to_be_visible()
    expect(page.get_by_role("button", name="Import now")).to_have_count(0)
    page.goto("/admin/imports")
    page.locator("[data-open-row]").first.click()
    expect(page.get_by_role("heading", name="Ready to look at")).to_be_visible()
    expect(page.get_by_role("button", name="Import all")).to_have_count(0)


def test_a_file_is_imported_without_javascript(world: UiWorld, sign_in: SignIn) -> None:
    page = sign_in("rita", javascript=False).page
    page.goto("/admin/imports/new")
    page.set_input_files("#f-file", a_csv("first_name,last_name,email", "Paula,Plainform,paula.plain@example.org"))
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator(".tally-create")).to_contain_text("1 to add")
    page.get_by_role("button", name="Import now").click()
    expect(page.get_by_role("heading", name="Done", exact=True)).to_be_visible()
    assert world.api("GET", "/students/?q=paula plainform")["total"] == 1


def test_what_the_list_shows_is_exported(world: UiWorld, sign_in: SignIn) -> None:
    shown = world.students(2, program="Exporting")
    world.student(program="Elsewhere")
    page = sign_in("rita").page
    page.goto("/admin/students?program=Exporting")
    for label, end in (("CSV", ".csv"), ("Excel (.xlsx)", ".xlsx"), ("OneRoster 1.2 (.zip)", ".zip")):
        page.locator("summary", has_text="Export").click()
        with page.expect_download() as download:
            page.get_by_role("link", name=label).click()
        assert download.value.suggested_filename.endswith(end)
        if end == ".csv":
            lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
            assert len(lines) == 3
            assert all(any(one["email"] in line for line in lines) for one in shown)
        page.keyboard.press("Escape")
        page.goto("/admin/students?program=Exporting")


def test_a_file_that_is_too_large_is_told_at_once(sign_in: SignIn, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    large.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    page = sign_in("rita").page
    page.goto("/admin/imports/new")
    page.set_input_files("#f-file", large)
    page.get_by_role("button", name="Preview", exact=True).click()
    assert "too large: 10 MB at most" in page.locator("#f-file").evaluate("input => input.validationMessage")
    page.set_input_files("#f-file", a_csv("first_name,last_name,email", "Sam,Small,sam.small@example.org"))
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator("#will")).to_be_visible()


def test_a_file_that_the_gateway_finds_too_large_is_told_and_stays_chosen(sign_in: SignIn, tmp_path: Path) -> None:
    """With what a form adds to it, it is more than the gateway takes: that refusal comes while it is being sent."""
    large = tmp_path / "large.csv"
    large.write_bytes(b"x" * (10 * 1024 * 1024))
    rita = sign_in("rita")
    rita.expect(413)
    page = rita.page
    page.goto("/admin/imports/new")
    page.set_input_files("#f-file", large)
    page.get_by_label("Empty cells").select_option("clear")
    page.get_by_role("button", name="Preview", exact=True).click()
    expect(page.locator("#problems")).to_contain_text("larger than this system accepts")
    expect(page.locator("#problems code")).to_be_visible()
    assert page.locator("#f-file").evaluate("input => input.files.length") == 1
    expect(page.get_by_label("Empty cells")).to_have_value("clear")
