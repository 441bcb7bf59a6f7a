"""axe-core on every page and state, in both themes, wide and narrow; nothing is wider than its window."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from servicekit.valkey_process import ValkeyProcess
from tests.browser.conftest import SignIn
from tests.support.scripted_gateway import MOMENT
from tests.support.scripted_pages import ScriptedPages
from tests.support.scripted_student import API, RECORD, answers_about
from tests.support.ui_world import PASSWORD, UiWorld, Watched

LOOKS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
pytestmark = pytest.mark.parametrize(("theme", "width"), LOOKS, ids=[f"{theme}-{width}" for theme, width in LOOKS])


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory, valkey: ValkeyProcess) -> Iterator[ScriptedPages]:
    pages = ScriptedPages(tmp_path_factory.mktemp("scripted"), valkey.url)
    answers_about(pages.gateway, "Ada")
    pages.gateway.says(f"GET {API}/timeline", body={"items": [], "next_cursor": None, "total": 0})
    yield pages
    pages.close()


def test_pages_for_everybody(open_page: Callable[..., Watched], theme: str, width: int) -> None:
    watched = open_page(theme=theme, width=width)
    watched.expect(401, 404)
    page = watched.page
    for path in ("/admin/login", "/admin/login?signed=out", "/admin/login?signed=here", "/admin/login?ended=1"):
        page.goto(path)
        watched.check_accessibility()
    page.fill("#username", "nobody")
    page.fill("#password", "wrong")
    page.click("button.btn-primary")
    expect(page.get_by_text("The user name or the password is wrong.")).to_be_visible()
    watched.check_accessibility("a failed sign-in")
    page.goto("/admin/no/such/page")
    watched.check_accessibility("not found")


def test_pages_of_students(world: UiWorld, sign_in: SignIn, theme: str, width: int) -> None:
    student = world.student(
        first_name="محمد",
        last_name="العلي" + "x" * 60,
        program="A program with a very long name that goes on and on",
        guardians=[
            {"name": "さくら 田中", "relation": "mother", "email": "sakura@example.org", "phone": "+81 3 1234"},
            {"name": "y" * 60},
        ],
        notes="Line\n" * 4,
    )
    world.api("PATCH", f"/students/{student['id']}", json={"phone": "+1 555", "program": None})
    gone = world.student()
    world.api("DELETE", f"/students/{gone['id']}")
    nobody = student["id"][:-4] + "0000"
    change = world.api("POST", "/students/bulk", json={"action": "delete", "ids": [gone["id"], nobody]})
    watched = sign_in("rita", theme=theme, width=width)
    watched.expect(404, 422)
    page = watched.page
    record = f"/admin/students/{student['id']}"
    for path in (
        "/admin/students",
        "/admin/students?sort=-year&status=enrolled&program=Arts&year=3",
        "/admin/students?q=nobodyhasthisname",
        "/admin/students?q=" + "x" * 900,
        "/admin/students?deleted=true",
        record,
        f"{record}/edit",
        f"{record}/status",
        f"/admin/students/{gone['id']}",
        f"/admin/students/bulk/{change['id']}",
        f"/admin/students/bulk/{change['id']}?outcome=all",
        "/admin/students/new",
        "/admin/students/01a20e28-0000-7000-8000-000000000000",
    ):
        page.goto(path)
        watched.check_accessibility()


def test_states_that_open_on_a_click(world: UiWorld, sign_in: SignIn, theme: str, width: int) -> None:
    world.student(program="Botany", year=5)
    watched = sign_in("rita", theme=theme, width=width)
    page = watched.page
    page.goto("/admin/students")
    for summary in page.locator("details[data-menu] > summary").all():
        summary.click()
        # What an open menu covers for the moment is too small to be hit, and isn't meant to be.
        watched.check_accessibility(f"the menu {summary.inner_text()}", within="details[data-menu][open]")
        page.keyboard.press("Escape")
    page.locator('input[name="id"]').first.check()
    expect(page.locator(".bulk")).to_be_visible()
    watched.check_accessibility("a selection")
    for action in ("Status", "Program", "Year", "Delete"):
        page.goto("/admin/students?program=Botany")
        page.locator('input[name="id"]').first.check()
        page.locator(".bulk").get_by_role("button", name=action).click()
        expect(page.locator(".form-foot")).to_be_visible()
        watched.check_accessibility(f"many: {action}")
    page.goto("/admin/students?program=Botany")
    page.click("[data-open-row]")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("[data-toast]")).to_be_visible()
    watched.check_accessibility("a notice with Undo")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_contain_text("is back")


def test_a_form_that_is_kept_when_it_could_not_be_done(
    scripted: ScriptedPages, open_page: Callable[..., Watched], theme: str, width: int
) -> None:
    refusals = {
        404: "What you typed is kept",
        403: "What you typed is kept",
        429: "Not saved yet",
        503: "Not saved yet",
    }
    watched = open_page(theme=theme, width=width, url=scripted.url)
    watched.expect(*refusals)
    page = watched.page
    page.goto(f"/admin/login?next={RECORD}/status")
    page.fill("#username", "ada")
    page.fill("#password", PASSWORD)
    page.click("button.btn-primary")
    for status, words in refusals.items():
        page.goto(f"{RECORD}/status")
        page.select_option("#f-status", "on_leave")
        page.fill("#f-reason", "A term abroad")
        scripted.gateway.refuses(f"POST {API}/status", status, retry_after=30 if status == 429 else None)
        # As a browser without scripts sends it, while axe-core still runs.
        page.locator("form", has=page.locator("#f-reason")).evaluate(
            "form => HTMLFormElement.prototype.submit.call(form)"
        )
        expect(page.get_by_text(words)).to_be_visible()
        expect(page.locator('[name="reason"]')).to_have_value("A term abroad")
        watched.check_accessibility(f"kept after {status}")
    scripted.gateway.says(f"POST {API}/status", body={"version": 2, "updated_at": MOMENT})
    page.get_by_role("button", name="Change status").click()
    expect(page.locator("#toasts")).to_contain_text("The status is now: On leave.")
