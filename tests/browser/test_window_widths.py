"""Windows of any width: nothing is wider than its window, and the account's menu stays in sight."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import UiWorld
from tests.support.wait import until


@pytest.mark.parametrize("width", [320, 600, 769, 900, 960, 1025, 1920])
def test_no_page_is_wider_than_its_window(world: UiWorld, sign_in: SignIn, width: int) -> None:
    student = world.student(
        last_name="Featherstonehaugh-Cholmondeley" * 3,
        program="Interdisciplinary Comparative Literature and Applied Computational Linguistics",
        guardians=[
            {"name": "Wolfeschlegelsteinhausenbergerdorff" * 2, "email": "w" * 40 + "@long-domain-name.example"}
        ],
        year=3,
    )
    page = sign_in("ada", width=width).page  # whose bar has the most sections
    record = f"/admin/students/{student['id']}"
    for path in ("/admin/", "/admin/students", "/admin/students/new", record, f"{record}/edit", "/admin/imports/new",
                 "/admin/users", "/admin/audit", "/admin/profile"):  # fmt: skip
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        account = page.locator(".account").bounding_box()
        assert account
        assert account["x"] + account["width"] <= width, path
    if width > 768:  # where it is a table and not cards
        page.goto(f"/admin/students?q={student['email']}")
        expect(page.locator("[data-row]")).to_have_count(1)
        shown, needed = page.locator(".table-wrap").evaluate("table => [table.clientWidth, table.scrollWidth]")
        assert needed <= shown
    page.goto("/admin/students/new")
    for button in page.locator(".form-foot .btn").all():
        expect(button).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_table_with_every_column_scrolls_in_its_frame_and_the_names_stay(
    world: UiWorld, sign_in: SignIn, theme: str
) -> None:
    program = f"Wide tables in the {theme}"
    world.student(last_name="Wideband", email=theme + "w" * 30 + "@northfield.example", program=program, year=3)
    rita = sign_in("rita", theme=theme)
    page = rita.page
    page.locator("summary", has_text="View").click()
    for box in page.locator('input[name="column"]').all():
        box.check()
    page.get_by_role("button", name="Apply").click()
    page.goto(f"/admin/students?program={program}")
    frame = page.get_by_role("region", name="Students")
    shown, needed = frame.evaluate("frame => [frame.clientWidth, frame.scrollWidth]")
    assert needed > shown, "it scrolls, or there is nothing to show here"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    name, edge = page.locator(".cell-who"), "node => getComputedStyle(node, '::after').opacity"
    assert name.evaluate(edge) == "0", "there is nothing to the left yet"
    frame.focus()
    expect(frame).to_be_focused()

    def is_at_its_end() -> bool:
        page.keyboard.press("ArrowRight")
        return bool(frame.evaluate("frame => frame.scrollLeft + frame.clientWidth >= frame.scrollWidth - 1"))

    until(is_at_its_end, timeout=20)
    expect(page.get_by_role("columnheader", name="Last change")).to_be_in_viewport(ratio=0.99)  # pixels are rounded
    outer = frame.bounding_box()
    for part in (
        page.locator('input[name="id"]'),
        page.locator("[data-open-row]"),
        page.get_by_role("link", name="Name", exact=True),
    ):
        inner = part.bounding_box()
        assert outer
        assert inner
        assert inner["x"] >= outer["x"]
        # Nothing lies over it.
        assert part.evaluate(
            """node => {
                const box = node.getBoundingClientRect();
                const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                return node === top || node.contains(top) || top.contains(node);
            }"""
        )
    assert name.evaluate(edge) == "1"
    rita.check_accessibility("every column")


def test_a_card_on_a_phone_has_no_label_without_a_value(world: UiWorld, sign_in: SignIn) -> None:
    student = world.student(last_name="Sparse", email="sparse@northfield.example", program=None, year=None)
    rita = sign_in("rita")
    page = rita.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/admin/students?q={student['email']}")
    expect(page.locator('[data-row] [data-label="E-mail"]')).to_be_visible()
    for label in ("Program", "Year"):
        expect(page.locator(f'[data-row] [data-label="{label}"]')).to_be_hidden()
