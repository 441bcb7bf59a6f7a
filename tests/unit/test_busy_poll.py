"""A loop that waits awake: how long, and that it sleeps again."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator

import pytest

from gateway.busy_poll import BusyPoll
from gateway.settings import Settings
from servicekit.settings import load_settings

SECONDS = 0.0003


class Watched(selectors.DefaultSelector):
    """Remembers for how long the loop meant to sleep, each time; never sleeps itself."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeps: list[float | None] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.sleeps.append(timeout)
        return super().select(0)


class Turns:
    """An event loop that is moved on by hand, and a clock too."""

    def __init__(self) -> None:
        self.selector = Watched()
        self.loop = asyncio.SelectorEventLoop(self.selector)
        self.now = 100.0
        self.poll = BusyPoll(SECONDS, lambda: self.now)

    def extend(self) -> None:
        self.loop.call_soon(self.poll.extend)
        self.turn()

    def turn(self) -> float | None:
        """Let the loop go on for one turn; returns how long it meant to sleep first, None: until something comes."""
        self.loop._run_once()  # type: ignore[attr-defined]  # the only way to see a single turn
        return self.selector.sleeps[-1]


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns()
    asyncio._set_running_loop(made.loop)
    try:
        yield made
    finally:
        asyncio._set_running_loop(None)
        made.loop.close()


def test_it_asks_without_sleeping_until_the_time_is_over(turns: Turns) -> None:
    turns.extend()
    assert [turns.turn() for _ in range(50)] == [0] * 50
    turns.now += SECONDS
    turns.turn()  # finds the time over
    assert turns.turn() is None


def test_each_step_of_a_request_gives_it_the_whole_time_again(turns: Turns) -> None:
    turns.extend()
    for _ in range(3):
        turns.now += SECONDS * 0.9
        turns.extend()
        assert turns.turn() == 0
    turns.now += SECONDS
    turns.turn()
    assert turns.turn() is None


def test_many_requests_at_once_cost_one_callback_a_turn(turns: Turns) -> None:
    for _ in range(20):
        turns.loop.call_soon(turns.poll.extend)
    turns.turn()
    assert len(turns.loop._ready) == 1  # type: ignore[attr-defined]  # what is due in the next turn


def test_it_wakes_again_after_it_slept(turns: Turns) -> None:
    turns.extend()
    turns.now += SECONDS
    turns.turn()
    assert turns.turn() is None
    turns.extend()
    assert turns.turn() == 0


@pytest.mark.parametrize("value", ["-1", "1001", "0.5", "on"])
def test_a_wrong_number_of_microseconds_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUSY_POLL_MICROSECONDS", value)
    with pytest.raises(SystemExit):
        load_settings(Settings)
    assert "configuration error: BUSY_POLL_MICROSECONDS: " in capsys.readouterr().err
