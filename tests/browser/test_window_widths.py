"""Windows of any width: nothing is wider than its window, and the account's menu stays in sight."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.support.ui_world import UiWorld


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
