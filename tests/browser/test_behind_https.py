"""As in production: TLS ends before the gateway, and what the gateway itself refuses loses nothing that was typed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.support.https_front import HttpsFront
from tests.support.ports import free_port
from tests.support.scripted_gateway import token_in
from tests.support.ui_world import PASSWORD, UiWorld
from tests.support.wait import until
from tests.support.whole_system import Program, WholeSystem

COOKIE = "__Host-matricula"
PAGES_A_MINUTE = 1200  # the route table's limit per client
_addresses = (f"192.0.2.{number}" for number in itertools.count(10))


@dataclass
class Secured:
    """A system behind TLS whose pages can be stopped."""

    system: WholeSystem
    front: HttpsFront
    world: UiWorld
    pages_port: int
    pages: Program

    def stop_pages(self) -> None:
        self.system.stop(self.pages)

    def start_pages(self) -> None:
        self.pages = self.system.start("admin_ui", self.pages_port, GATEWAY_URL=self.system.gateway.url)
        with self.client() as client:
            until(lambda: client.get("/admin/login").status_code == 200, timeout=60)

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.front.url, verify=False, timeout=30, trust_env=False)

    def use_up(self, address: str) -> None:
        """Ask for pages from an address until the gateway lets no more through."""

        async def ask() -> bool:
            headers = {"X-Forwarded-For": address}
            async with httpx2.AsyncClient(base_url=self.world.url, timeout=60, trust_env=False) as client:
                for _ in range(PAGES_A_MINUTE // 40 + 10):
                    asked = [client.get("/admin/static/x/mark.svg", headers=headers) for _ in range(40)]
                    if all(answer.status_code == 429 for answer in await asyncio.gather(*asked)):
                        return True
            return False

        with ThreadPoolExecutor(1) as pool:  # Playwright's own loop runs in this thread
            assert pool.submit(lambda: asyncio.run(ask())).result(60)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder, port = tmp_path_factory.mktemp("https"), free_port()
    environment = {
        "ADMIN_UI_URL": f"http://127.0.0.1:{port}",
        "COOKIE_SECURE": "true",
        "TRUSTED_PROXIES": "127.0.0.1/32",
    }
    system = WholeSystem(folder, environment)
    try:
        front = HttpsFront(system.gateway.url, folder)
        try:
            pages = system.start("admin_ui", port, GATEWAY_URL=system.gateway.url)
            world = UiWorld(system.gateway.url, folder / "var")
            world.make_users()
            yield Secured(system, front, world, port, pages)
        finally:
            front.close()
    finally:
        system.close()


@pytest.fixture
def address(secured: Secured) -> str:
    """An address that nobody has asked from yet; the browser's requests come from there."""
    secured.front.client = next(_addresses)
    return secured.front.client


def typed_student(page: Page, name: str) -> None:
    page.goto("/admin/students/new")
    page.fill("#f-first_name", name)
    page.fill("#f-last_name", "Kept")
    page.fill("#f-email", f"{name.lower()}.kept@example.org")


def save(page: Page) -> None:
    page.locator(".form-foot .btn-primary").click()


def test_the_session_cookie_is_bound_to_the_host_and_to_tls(secured: Secured, address: str, sign_in: SignIn) -> None:
    rita = sign_in("rita", url=secured.front.url)
    page = rita.page
    assert page.url.startswith("https://")
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    session = cookies[COOKIE]
    assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Lax")
    assert (session["path"], session["domain"], session["expires"]) == ("/", "127.0.0.1", -1)
    typed_student(page, "Hetty")
    save(page)
    expect(page.locator("#toasts")).to_contain_text("was added")
    # A theme is chosen: a form that no script sends.
    page.locator("summary.account").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert all(cookie["secure"] for cookie in page.context.cookies())
    page.locator("summary.account").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert COOKIE not in {cookie["name"] for cookie in page.context.cookies()}


def test_over_plain_http_in_development_the_cookie_has_its_plain_name(sign_in: SignIn) -> None:
    cookies = {cookie["name"]: cookie for cookie in sign_in("rita").page.context.cookies()}
    assert COOKIE not in cookies
    assert (cookies["matricula"]["secure"], cookies["matricula"]["httpOnly"]) == (False, True)


def test_a_browser_that_only_says_its_origin_may_write_from_the_https_address(secured: Secured, address: str) -> None:
    with secured.client() as client:
        form = {"username": "rita", "password": PASSWORD, "csrf": token_in(client.get("/admin/login").text)}
        refused = client.post("/admin/login", data=form, headers={"Origin": "https://elsewhere.example"})
        assert refused.status_code == 403
        signed_in = client.post("/admin/login", data=form, headers={"Origin": secured.front.url})
        assert signed_in.status_code == 303
        given = [line for line in signed_in.headers.get_list("set-cookie") if line.startswith(COOKIE)]
        words = {word.strip().lower() for word in given[0].split(";")[1:]}
        assert words == {"path=/", "secure", "httponly", "samesite=lax"}  # no Domain: the prefix wants none
        csrf = token_in(client.get("/admin/students/new").text)
        out = client.post("/admin/logout", data={"csrf": csrf}, headers={"Origin": secured.front.url})
        assert out.status_code == 303
        assert client.get("/admin/students").status_code == 303


def test_too_many_pages_are_told_with_a_countdown_and_lose_nothing(
    secured: Secured, address: str, sign_in: SignIn
) -> None:
    secured.world.student()
    rita = sign_in("rita", url=secured.front.url)
    rita.expect(429)
    page = rita.page
    secured.use_up(address)
    page.get_by_role("columnheader", name="E-mail").get_by_role("link").click()
    expect(page.locator("#problems")).to_contain_text("a little too fast")
    expect(page.locator("#problems [data-countdown]")).to_be_visible()
    expect(page.locator("#problems code")).to_be_visible()
    expect(page.locator("[data-row]").first).to_be_visible()
    rita.check_accessibility("refused for a moment")

    secured.front.client = other = next(_addresses)
    typed_student(page, "Tilly")
    secured.use_up(other)
    save(page)
    expect(page.locator("#problems")).to_contain_text("a little too fast")
    expect(page.locator("#f-first_name")).to_have_value("Tilly")
    secured.front.client = next(_addresses)
    save(page)
    expect(page.locator("#toasts")).to_contain_text("Tilly Kept was added")


def test_while_the_pages_are_away_nothing_typed_is_lost(secured: Secured, address: str, sign_in: SignIn) -> None:
    rita = sign_in("rita", url=secured.front.url)
    rita.expect(502, 503, 504)
    page = rita.page
    typed_student(page, "Wendy")
    secured.stop_pages()
    save(page)
    expect(page.locator("#problems")).to_contain_text("can’t be reached just now")
    expect(page.locator("#problems code")).to_be_visible()
    expect(page.locator("#f-first_name")).to_have_value("Wendy")
    rita.check_accessibility("the pages are away")
    secured.start_pages()
    save(page)
    expect(page.locator("#toasts")).to_contain_text("Wendy Kept was added")
