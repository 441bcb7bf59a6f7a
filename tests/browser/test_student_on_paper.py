"""A student's page and the list on paper, and names of any script on it."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import UiWorld


def test_paper_has_the_record_and_nothing_to_click(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(guardians=[{"name": "Eva Lovelace", "phone": "+44 20 7946 0100"}], notes="Plays the viola.")
    world.api("PATCH", f"/students/{student['id']}", json={"program": "Music"})
    page = sign_in("rita", theme="dark").page
    page.goto(f"/admin/students/{student['id']}")
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    page.emulate_media(media="print")
    for told in (student["email"], "Eva Lovelace", "+44 20 7946 0100", "Plays the viola."):
        expect(page.get_by_text(told, exact=True).first).to_be_visible()
    for useless in (".topbar", ".crumb", ".page-actions", ".toasts", "main button", "main .btn"):
        assert not page.locator(f"{useless} >> visible=true").count(), useless
    colours = page.locator("body").evaluate(
        "node => [getComputedStyle(node).backgroundColor, getComputedStyle(node).color]"
    )
    assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"], "paper is light whatever the theme"


def test_paper_has_the_list_as_a_table(world: UiWorld, sign_in: SignIn) -> None:
    world.student(program="Printing")
    page = sign_in("rita", width=718).page  # A4 between its margins
    page.goto("/admin/students?program=Printing")
    page.emulate_media(media="print")
    expect(page.get_by_role("columnheader", name="E-mail")).to_be_visible()
    assert page.locator("tbody tr").first.evaluate("node => getComputedStyle(node).display") == "table-row"
    for useless in (".toolbar", ".tabs", ".filters", ".bulk", ".pick", "main .btn"):
        assert not page.locator(f"{useless} >> visible=true").count(), useless
    assert page.evaluate("document.documentElement.scrollWidth") <= 718


def test_names_of_any_script_stand_in_their_own_direction(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(first_name="زبيدة", last_name="العلي", preferred_name="مو")
    page = sign_in("rita").page
    page.goto(f"/admin/students/{student['id']}")
    heading = page.locator("h1 bdi")
    expect(heading).to_have_text("مو العلي")
    assert heading.evaluate("node => getComputedStyle(node).unicodeBidi") == "isolate"
    page.get_by_role("link", name="Edit").click()
    field = page.locator("#f-last_name")
    expect(field).to_have_value("العلي")
    assert field.evaluate("node => getComputedStyle(node).direction") == "rtl"
    page.goto("/admin/students?q=زبيدة")
    expect(page.locator("[data-row]")).to_have_count(1)


def test_latin_greek_and_cyrillic_names_are_set_in_the_same_type(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(first_name="Дарья Ελένη", last_name="Nguyễn", notes="Ў ἀ ҂")
    page = sign_in("rita").page
    page.goto(f"/admin/students/{student['id']}")
    faces = page.evaluate(
        """document.fonts.ready.then(
            () => [...document.fonts].map((face) => [face.family, face.status, face.unicodeRange])
        )"""
    )
    assert {family for family, *_ in faces} == {"Inter"}
    loaded = [ranges for _, status, ranges in faces if status == "loaded"]
    for start in ("U+0-FF", "U+370", "U+400", "U+460", "U+102", "U+1F00"):
        assert any(start.lower() in ranges.lower() for ranges in loaded), (start, faces)
