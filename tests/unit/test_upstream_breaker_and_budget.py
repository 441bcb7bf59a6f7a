from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.breaker import Breaker
from gateway.upstream.budget import RetryBudget
from gateway.upstream.policy import BreakerPolicy, UpstreamPolicy
from gateway.upstream.request import framing_of, render_head
from gateway.upstream.service import prepare

POLICY = BreakerPolicy(failures=3, open_seconds=1, open_seconds_max=3)


def opened_at(now: float) -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(3):
        breaker.record_failure(now)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker(POLICY)
    breaker.record_failure(0)
    breaker.record_failure(0)
    before = breaker.state
    breaker.record_failure(0)
    assert (before, breaker.state) == ("closed", "open")


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(POLICY)
    for _ in range(10):
        breaker.record_failure(0)
        breaker.record_failure(0)
        breaker.record_success()
    assert breaker.state == "closed"


def test_a_trial_is_due_after_its_time_and_only_one() -> None:
    breaker = opened_at(10)
    assert not breaker.may_try(10.9)
    assert breaker.may_try(11)
    breaker.begin_trial()
    assert not breaker.may_try(12)


def test_every_failed_trial_doubles_the_wait_up_to_a_limit() -> None:
    breaker = opened_at(0)
    waits = []
    for _ in range(4):
        now = breaker.retry_at
        breaker.begin_trial()
        breaker.fail_trial(now)
        waits.append(breaker.retry_at - now)
    assert waits == [2, 3, 3, 3]


def test_a_good_trial_closes_it_and_the_next_wait_is_short_again() -> None:
    breaker = opened_at(0)
    breaker.begin_trial()
    breaker.fail_trial(1)
    breaker.begin_trial()
    breaker.record_success()
    assert breaker.state == "closed"
    for _ in range(3):
        breaker.record_failure(50)
    assert breaker.retry_at == 51


def test_an_abandoned_trial_is_due_again_at_once() -> None:
    breaker = opened_at(0)
    breaker.begin_trial()
    breaker.abandon_trial(5)
    assert breaker.may_try(5)


def test_late_failures_of_older_requests_leave_a_trial_alone() -> None:
    breaker = opened_at(0)
    breaker.begin_trial()
    for _ in range(9):
        breaker.record_failure(1)
    assert not breaker.may_try(100)
    breaker.fail_trial(100)
    assert breaker.retry_at == 102


def test_a_trial_that_an_older_requests_answer_overtook_fails_as_any_request_does() -> None:
    breaker = opened_at(0)
    breaker.begin_trial()
    breaker.record_success()
    breaker.fail_trial(1)
    assert (breaker.state, breaker.failures) == ("closed", 1)


def test_late_failures_of_an_ejected_replica_do_not_extend_its_ejection() -> None:
    breaker = opened_at(0)
    breaker.record_failure(0.9)
    assert breaker.may_try(1)


@given(st.lists(st.booleans(), max_size=300))
def test_retries_stay_within_a_fifth_of_the_requests_and_what_was_in_hand(wants_retry: list[bool]) -> None:
    budget = RetryBudget(0.2, initial=10)
    retries = 0
    for number, wanted in enumerate(wants_retry, 1):
        budget.note_request()
        retries += wanted and budget.spend()
        assert retries <= 10 + 0.2 * number + 1e-6


@given(st.lists(st.sampled_from(["none", "retry", "on credit"]), max_size=600))
def test_retries_on_credit_come_off_the_others_and_end_too(wants: list[str]) -> None:
    budget = RetryBudget(0.2, initial=10, most=30)
    retries = 0
    for number, wanted in enumerate(wants, 1):
        budget.note_request()
        if wanted != "none" and budget.spend(on_credit=wanted == "on credit"):
            retries += 1
        assert retries <= 10 + 30 + 0.2 * number + 1e-6


def test_retries_on_credit_are_there_when_no_others_are_left() -> None:
    budget = RetryBudget(0.2, initial=1, most=5)
    assert [budget.spend(), budget.spend()] == [True, False]
    assert [budget.spend(on_credit=True) for _ in range(6)] == [True] * 5 + [False]


def test_no_budget_means_no_retries() -> None:
    budget = RetryBudget(0)
    budget.note_request()
    assert not budget.spend()


def test_a_policy_that_could_serve_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="max_connections"):
        UpstreamPolicy(max_connections=0)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"/", [(b"x", b"a\r\nhost: evil")]),
        (b"/", [(b"x", b"a\nb")]),
        (b"/", [(b"x", b"a\rb")]),
        (b"/", [(b"x", b"a\0b")]),
        (b"/", [(b"x\r\ny", b"a")]),
        (b"/ HTTP/1.1\r\nx: y\r\n\r\nGET /", []),
        (b"/a b", []),
        (b"/", [(b"content-length", b"3")]),
        (b"/", [(b"transfer-encoding", b"chunked")]),
    ],
)
def test_what_would_break_a_requests_lines_or_framing_is_never_written(
    target: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(ValueError, match=r"line|set here"):
        render_head(b"GET", target, headers, dict(headers), b"")


def test_a_head_says_how_long_its_body_is() -> None:
    assert framing_of(b"GET", None) == b""
    assert framing_of(b"POST", None) == b"content-length: 0\r\n"
    assert framing_of(b"POST", b"abc") == b"content-length: 3\r\n"


def test_a_given_host_is_kept() -> None:
    assert prepare(b"GET", b"/", []).lacks_host
    assert prepare(b"GET", b"/", [(b"x-forwarded-host", b"a")]).lacks_host
    assert not prepare(b"GET", b"/", [(b"host", b"a")]).lacks_host
