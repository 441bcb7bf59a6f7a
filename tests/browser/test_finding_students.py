"""The list of students: tabs with counts, filters, order and search, all of it in the address."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import UiWorld


def names(page: Page) -> list[str]:
    return [text.partition(",")[0] for text in page.locator("[data-open-row]").all_inner_texts()]


def test_tabs_filters_and_order_are_in_the_address_and_back_works(world: UiWorld, sign_in: SignIn) -> None:
    program = "Filtering & Sorting"
    for last_name, year, status in (("Älpha", 3, "enrolled"), ("Beta", 5, "enrolled"), ("Gamma", 5, "applicant")):
        world.student(last_name=last_name, year=year, status=status, program=program)
    world.student(program="Another one")  # so that the number of rows tells when the first filter counts
    page = sign_in("rita").page
    filtered = page.get_by_role("link", name=re.compile("^Remove the filter"))
    page.locator("summary", has_text="Program").click()
    page.get_by_role("link", name=program).click()
    # A menu that is opened before the answer is there goes with what the answer replaces.
    expect(filtered).to_have_count(1)
    expect(page.locator("[data-row]")).to_have_count(3)
    page.locator("summary", has_text="Year").click()
    page.get_by_role("link", name=re.compile("^Year 5")).click()
    expect(filtered).to_have_count(2)
    expect(page.locator("[data-row]")).to_have_count(2)
    page.get_by_role("columnheader", name="Name").get_by_role("link").click()
    expect(page.locator('[aria-sort="descending"]')).to_contain_text("Name")
    assert names(page) == ["Gamma", "Beta"]
    expect(page).to_have_url(re.compile(r"program=Filtering\+%26\+Sorting&year=5&sort=-last_name$"))
    page.reload()
    assert names(page) == ["Gamma", "Beta"]

    page.get_by_role("link", name=re.compile("Remove the filter Year")).click()
    expect(filtered).to_have_count(1)
    expect(page.locator("[data-row]")).to_have_count(3)
    assert names(page) == ["Gamma", "Beta", "Älpha"]
    page.get_by_label("Status").get_by_role("link", name="Applicant").click()
    expect(page.locator("[data-row]")).to_have_count(1)
    page.go_back()
    expect(page.locator("[data-row]")).to_have_count(3)
    page.get_by_role("link", name="Clear all").click()
    expect(page).to_have_url(re.compile(r"/admin/students$"))


def test_every_tab_tells_how_many_it_holds(world: UiWorld, sign_in: SignIn) -> None:
    for status in ("applicant", "enrolled", "enrolled", "graduated"):
        world.student(status=status, program="Counting", year=2)
    page = sign_in("rita").page
    stats = world.api("GET", "/students/stats")
    page.goto("/admin/students")
    tabs = page.get_by_label("Status").get_by_role("link")
    everything = {"All": stats["total"], "Deleted": stats["deleted"], "On leave": stats["by_status"].get("on_leave", 0)}
    told = dict(re.findall(r"(\D+?)\s*(\d+)", " ".join(tabs.all_inner_texts())))
    assert {label.strip(): int(count) for label, count in told.items()}.items() >= everything.items()
    page.goto("/admin/students?program=Counting&year=2&status=enrolled")
    counts = {"All": 4, "Applicant": 1, "Enrolled": 2, "On leave": 0, "Graduated": 1, "Withdrawn": 0, "Deleted": 0}
    expect(tabs).to_have_text([re.compile(rf"^{label}\s*{count}$") for label, count in counts.items()])


def test_on_a_phone_a_strip_above_the_cards_sorts_and_selects(world: UiWorld, sign_in: SignIn) -> None:
    for last_name in ("Pocket", "Quill"):
        world.student(last_name=last_name, program="Small windows")
    page = sign_in("rita", width=390).page
    page.goto("/admin/students?program=Small windows")
    assert names(page) == ["Pocket", "Quill"]
    by_name = page.get_by_role("link", name="Name", exact=True)
    box = by_name.bounding_box()
    assert box
    assert box["x"] >= 0, "it can be seen and touched"
    assert min(box["width"], box["height"]) >= 24
    by_name.click()
    expect(page.locator('[aria-sort="descending"]')).to_contain_text("Name")
    assert names(page) == ["Quill", "Pocket"]
    page.get_by_label("Select all on this page").check()
    expect(page.locator(".bulk-count")).to_have_text("2 selected")


def test_on_a_phone_a_compact_card_has_its_checkbox_beside_the_name(world: UiWorld, sign_in: SignIn) -> None:
    world.student(last_name="Narrow", program="Compact cards")
    page = sign_in("rita", width=390).page
    page.goto("/admin/students?program=Compact cards")
    page.locator("summary", has_text="View").click()
    page.get_by_label("Compact", exact=True).check()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("html")).to_have_class(re.compile("density-compact"))
    box = page.locator('input[name="id"]').bounding_box()
    name = page.locator("[data-open-row]").bounding_box()
    assert box
    assert name
    assert box["x"] < name["x"]
    assert name["y"] - 12 < box["y"] < name["y"] + name["height"]


def test_days_and_times_read_alike_and_an_address_breaks_behind_its_at(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(email="maximiliane.oberhuber@northfield.example", enrolled_on="2026-09-01")
    page = sign_in("rita", width=390).page
    page.goto(f"/admin/students/{student['id']}")
    expect(page.locator("dd", has_text="1 Sep 2026")).to_be_visible()
    for time in page.locator("time").all_inner_texts():
        assert re.fullmatch(r"\d{1,2} [A-Z][a-z]{2} \d{4}, \d\d:\d\d", time)
    parts = page.locator('dd a[href^="mailto:"] bdi').evaluate(
        """bdi => [...bdi.childNodes].filter(node => node.nodeType === Node.TEXT_NODE).map(node => {
            const range = document.createRange();
            range.selectNodeContents(node);
            return [node.data, new Set([...range.getClientRects()].map(box => box.top)).size];
        })"""
    )
    assert parts == [["maximiliane.oberhuber@", 1], ["northfield.example", 1]]


def test_an_address_that_makes_no_sense_still_shows_the_list(world: UiWorld, sign_in: SignIn) -> None:
    world.student(last_name="Sensible")
    rita = sign_in("rita")
    page = rita.page
    page.goto("/admin/students?q=%00")
    expect(page.get_by_role("heading", name="Nobody matches")).to_be_visible()
    page.get_by_label("Search students").fill("sensible")
    expect(page.locator("[data-row]")).to_have_count(1)
    page.goto("/admin/students?q=sensible&status=nonsense&year=abc&sort=nonsense")
    expect(page.locator(".note p")).to_have_count(3)
    rita.check_accessibility()
    expect(page.locator("[data-row]")).to_have_count(1)
    page.goto("/admin/students?q=sensible&cursor=nonsense")
    expect(page.locator("#toasts")).to_contain_text("This is the first one.")
    expect(page.locator("[data-row]")).to_have_count(1)
