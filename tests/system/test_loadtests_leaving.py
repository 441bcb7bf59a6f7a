"""The end of a run: nobody goes on asking, nobody stays signed in, and a run that can't begin says why and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.locust_runs import counted, load_target, run_locust
from tests.support.ports import free_port
from tests.support.wait import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.mark.parametrize(
    ("scenario", "arguments"),
    [("RateLimits", ("--users", "1", "--accounts", "1")), ("Browsing", ("--users", "10", "--open-model"))],
)
def test_nobody_asks_on_while_the_accounts_are_deleted(
    tmp_path: Path, scenario: str, arguments: tuple[str, ...]
) -> None:
    """A burst, and the visits of the open model, take longer than is left of the run: they end with it."""
    with load_target("leaves-slowly") as url:
        run = run_locust(tmp_path, url, scenario, *arguments, seconds=2)
    assert "401 instead of" not in run.output
    assert run.code == 0, run.output


def test_the_administrator_is_signed_out_by_each_process_and_known_until_then(tmp_path: Path) -> None:
    with load_target() as url:
        run = run_locust(tmp_path, url, "Browsing", "--users", "4", "--processes", "2", "--think", "0.2")
        assert run.code == 0, run.output
        until(lambda: counted(url)["open sessions of admin"] == 0, timeout=10)
        signed_in = {what: count for what, count in counted(url).items() if what.startswith("sign-in of admin")}
    assert signed_in == {"sign-in of admin by matricula-load-test": 3}, "two that load, and the one that reports"


@pytest.mark.parametrize(
    ("fault", "arguments", "named"),
    [
        ("", ("--admin-password", "wrong"), "BROKEN: admin can't sign in at"),
        ("", ("--admin-password", "wrong", "--open-model"), "BROKEN: admin can't sign in at"),
        ("no-more-sign-ins", (), "Wait, or start the system with RATE_LIMIT_LOGIN"),
        ("", ("--host", "NOBODY"), "BROKEN: nothing answers at"),
    ],
)
def test_a_run_that_cannot_begin_shows_no_traceback(
    tmp_path: Path, fault: str, arguments: tuple[str, ...], named: str
) -> None:
    with load_target(fault) as url:
        words = [word.replace("NOBODY", f"http://127.0.0.1:{free_port()}") for word in arguments]
        run = run_locust(tmp_path, url, "Browsing", *words, seconds=2)
    assert run.code == 4, run.output
    assert named in run.output
    assert "Traceback" not in run.output
    assert "StopUser" not in run.output


@pytest.mark.parametrize("argument", ["--think=-1", "--think=nan", "--warm-up=-1", "--most-in-flight=0"])
def test_a_number_that_makes_no_sense_is_a_mistake_in_the_command(tmp_path: Path, argument: str) -> None:
    run = run_locust(tmp_path, "http://127.0.0.1:9", "Browsing", argument)
    assert run.code == 2, run.output
    assert f"argument {argument.partition('=')[0]}: must be" in run.output
