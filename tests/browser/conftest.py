"""One whole system for all browser tests, a Chromium, and people who are signed in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.started_stack import StartedStack, free_port_offset
from tests.support.ui_world import PASSWORD, UiWorld, Watched

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SYSTEM = {
    # So short that a token is renewed in nearly every test: 20 seconds before its end it counts as due.
    "ACCESS_TOKEN_TTL": "21",
    "RATE_LIMIT_LOGIN": "100000/minute",
    "RATE_LIMIT_ANONYMOUS": "100000/minute",
    "RATE_LIMIT_USER": "100000/minute",
}

SignIn = Callable[..., Watched]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group(group_of(item)))
            item.add_marker(pytest.mark.timeout(180))


def group_of(item: pytest.Item) -> str:
    """What one worker drives in its own system: a file's tests, of the files with every look those of one look."""
    parameters = getattr(item, "callspec", None)
    look = [str(parameters.params[name]) for name in ("theme", "width") if parameters and name in parameters.params]
    return "-".join([item.path.stem, *look])


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        assert os.environ.get("MATRICULA_REQUIRE_BROWSER") != "1", "Chromium is required here but not installed"
        pytest.skip("Chromium isn't installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def world(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UiWorld]:
    """The running system with a user of each role."""
    offset = free_port_offset()
    command = [sys.executable, "-m", "stack", "--port-offset", str(offset)]
    stack = StartedStack(command, tmp_path_factory.mktemp("browser") / "var", SYSTEM)
    try:
        stack.until_running(timeout=150)
        found = UiWorld(f"http://127.0.0.1:{8000 + offset}", stack.state_dir)
        found.make_users()
        yield found
    finally:
        stack.close()


@pytest.fixture
def open_page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Callable[..., Watched]]:
    """Opens pages in browsers of their own; whatever the console complains of fails the test."""
    with ExitStack() as stack:
        opened: list[Watched] = []

        def make(*, width: int = 1280, theme: str = "light", javascript: bool = True, url: str = "") -> Watched:
            context = chromium.new_context(
                base_url=url or request.getfixturevalue("world").url,
                ignore_https_errors=bool(url),  # of a certificate that a test has made for itself
                viewport={"width": width, "height": 860},
                color_scheme="dark" if theme == "dark" else "light",
                java_script_enabled=javascript,
                accept_downloads=True,
            )
            stack.callback(context.close)
            context.set_default_timeout(20_000)
            if javascript:
                context.add_init_script(path=AXE)
            page: Page = context.new_page()
            opened.append(Watched(page))
            return opened[-1]

        yield make
        for watched in opened:
            watched.check()


@pytest.fixture
def sign_in(open_page: Callable[..., Watched]) -> SignIn:
    """A page of somebody who is signed in."""

    def make(username: str, **options: object) -> Watched:
        watched = open_page(**options)
        page = watched.page
        page.goto("/admin/login?next=/admin/students")
        page.fill("#username", username)
        page.fill("#password", PASSWORD)
        page.click("button.btn-primary")
        page.wait_for_url(lambda url: "/login" not in url)
        page.goto("/admin/students")
        return watched

    return make
