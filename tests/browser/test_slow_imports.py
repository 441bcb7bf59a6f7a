"""Files that take longer than a page waits: progress, then the preview, the result and the undo."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SignIn
from tests.support.scripted_gateway import token_in
from tests.support.ui_world import PASSWORD, UiWorld

MANY = 40_000  # more than the service reads in the two seconds that a page waits for it
PATIENCE = 120_000  # milliseconds


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose columns have to be mapped; its only error is far down."""
    lines = ["Vorname,Nachname,Mail"]
    lines += [f"Slow{number},Reader{number},slow{number}@example.org" for number in range(MANY)]
    lines[MANY - 5] = "Nobody,Readerlast,no address"
    path = tmp_path_factory.mktemp("files") / "large.csv"
    path.write_text("\n".join(lines))
    return path


def choose_columns(page: Page) -> None:
    for column, field in (("Vorname", "first_name"), ("Nachname", "last_name"), ("Mail", "email")):
        page.get_by_label(column, exact=True).select_option(field)


def reading(page: Page) -> None:
    """The page says that the file is being read."""
    expect(page.get_by_role("heading", name="Reading the file")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()


def test_a_large_file_is_read_mapped_and_previewed_while_one_watches(
    world: UiWorld, sign_in: SignIn, large_file: Path
) -> None:
    rita = sign_in("rita")
    rita.expect(422)
    page = rita.page
    page.goto("/admin/imports/new")
    page.set_input_files("#f-file", large_file)
    page.get_by_role("button", name="Preview", exact=True).click()
    choose_columns(page)
    page.get_by_role("button", name="Preview with these columns").click()
    reading(page)
    expect(page.get_by_text("rows so far")).to_be_visible()
    rita.check_accessibility("a file being read")
    expect(page.locator("#will")).to_be_focused(timeout=PATIENCE)
    expect(page.locator(".tally-create")).to_contain_text(re.compile(r"39\s999 to add"))
    # The row with the error is told, however far down it is.
    expect(page.locator(".rows").first).to_contain_text(f"Line {MANY - 4}")

    # The columns can be mapped anew with what the form holds: the file and the choices are still those.
    expect(page.get_by_label("Vorname", exact=True)).to_have_value("first_name")
    page.get_by_label("Vorname", exact=True).select_option("preferred_name")
    expect(page.get_by_role("button", name="Import now")).to_have_count(0)
    page.get_by_role("button", name="Preview with these columns").click()
    reading(page)
    expect(page.locator("#will")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".tally-error")).to_contain_text(re.compile(r"40\s000 not possible"))


def test_a_large_import_and_its_undo_show_how_far_they_are(world: UiWorld, sign_in: SignIn, large_file: Path) -> None:
    rita = sign_in("rita")
    page = rita.page
    few = large_file.with_name("fewer.csv")
    lines = large_file.read_text().splitlines()[1:12_001]
    few.write_text("first_name,last_name,email\n" + "\n".join(lines))
    page.goto("/admin/imports/new")
    page.set_input_files("#f-file", few)
    page.get_by_role("button", name="Preview", exact=True).click()
    page.get_by_role("button", name="Import now").click(timeout=PATIENCE)
    page.wait_for_url("**/admin/students/imports/**")
    expect(page.get_by_role("heading", name="Working")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d+ % of 12\s000"))).to_be_visible()
    rita.check_accessibility("an import under way")
    # What has the focus keeps it although the page is renewed each second.
    page.get_by_role("link", name="All rows").focus()
    expect(page.get_by_role("heading", name="Done", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("link", name="All rows")).to_be_focused()
    page.get_by_role("button", name="Undo it all").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Taking it back")).to_be_visible()
    expect(page.get_by_role("heading", name="Taken back", exact=True)).to_be_visible(timeout=PATIENCE)
    assert world.api("GET", "/students/?q=slow1@example")["total"] == 0


def test_a_file_that_turns_out_to_be_unreadable_says_so(sign_in: SignIn, large_file: Path) -> None:
    """Halfway through, long after the page has begun to wait."""
    broken = large_file.with_name("broken.csv")
    text = large_file.read_text().replace("Vorname,Nachname,Mail", "first_name,last_name,email")
    broken.write_bytes(text.encode() + b'\n"never closed,' + b"x" * 40_000)
    page = sign_in("rita").page
    page.goto("/admin/imports/new")
    page.set_input_files("#f-file", broken)
    page.get_by_role("button", name="Preview", exact=True).click()
    reading(page)
    expect(page.locator(".note-bad")).to_contain_text("can’t be read", timeout=PATIENCE)
    expect(page.get_by_role("button", name="Import now")).to_have_count(0)


def test_without_javascript_the_page_says_how_to_go_on(world: UiWorld, sign_in: SignIn, large_file: Path) -> None:
    page = sign_in("rita", javascript=False).page
    lines = ["first_name,last_name,email", *large_file.read_text().replace("slow", "plain").splitlines()[1:-10]]
    whole, few = large_file.with_name("plain.csv"), large_file.with_name("fewer-plain.csv")
    whole.write_text("\n".join(lines))
    few.write_text("\n".join(lines[:12_001]))
    page.goto("/admin/imports/new")
    page.set_input_files("#f-file", whole)
    page.get_by_role("button", name="Preview", exact=True).click()
    page.wait_for_url("**/preview?of=*")  # loading it again sends nothing again
    follow_until(page, page.locator("#will"))

    # Another mapping needs the file once more: the page says why, and knows the file by its name.
    expect(page.locator("noscript .note")).to_contain_text("the file isn’t kept here")
    page.set_input_files("#f-file", {"name": whole.name, "mimeType": "text/csv", "buffer": few.read_bytes()})
    page.get_by_label("first_name", exact=True).select_option("preferred_name")
    page.get_by_role("button", name="Preview with these columns").click()
    follow_if_it_takes_long(page, page.locator(".tally-error", has_text=re.compile(r"12\s000 not possible")))

    page.set_input_files("#f-file", few)
    page.get_by_role("button", name="Preview", exact=True).click()
    follow_if_it_takes_long(page, page.locator(".tally-create", has_text=re.compile(r"12\s000 to add")))
    page.get_by_role("button", name="Import now").click()
    follow_until(page, page.get_by_role("heading", name="Done", exact=True))
    page.get_by_role("button", name="Undo it all").click()
    follow_until(page, page.get_by_role("heading", name="Taken back", exact=True))
    assert world.api("GET", "/students/?q=plain1@example")["total"] == 0


def follow_until(page: Page, there: Locator) -> None:
    """Follow the page's own link, which has to be offered at least once."""
    again = page.get_by_role("link", name="Look again")
    expect(there.or_(again).first).to_be_visible(timeout=PATIENCE)
    assert again.count(), "it was through at once: the file is too small to show anything"
    follow_if_it_takes_long(page, there)


def follow_if_it_takes_long(page: Page, there: Locator) -> None:
    """Follow the page's own link as often as it is offered."""
    again = page.get_by_role("link", name="Look again")
    expect(there.or_(again).first).to_be_visible(timeout=PATIENCE)
    deadline = time.monotonic() + PATIENCE / 1000
    while again.count() and time.monotonic() < deadline:
        again.click()
        page.wait_for_load_state()
    expect(there).to_be_visible()


def test_files_pass_through_the_pages_without_being_held_in_memory(world: UiWorld) -> None:
    pages = world.process_of("admin_ui")
    with httpx2.Client(base_url=world.url, timeout=120, trust_env=False) as client:
        form = {"username": "rita", "password": PASSWORD, "csrf": token_in(client.get("/admin/login").text)}
        client.post("/admin/login", data=form)
        csrf = token_in(client.get("/admin/imports/new").text)

        def send(size: int) -> None:
            content = b"a,b\n" + b"x" * size  # no file of students: it is refused as soon as it is there
            answer = client.post("/admin/imports/new", data={"csrf": csrf}, files={"file": ("list.csv", content)})
            assert "There is no column for" in answer.text

        def send_four(size: int) -> None:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(send, [size] * 4))

        send_four(2_000_000)
        before = most_memory(pages.pid)
        send_four(10_000_000)
        # Held in memory, four files would be forty megabytes and more.
        assert most_memory(pages.pid) - before < 15_000_000


def most_memory(pid: int) -> int:
    """The most bytes that a process has ever had in memory (``proc_pid_status(5)``)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("Linux tells this")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert found
    return int(found[1]) * 1024
