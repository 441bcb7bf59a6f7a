"""Bars, pages of a list and words of the trail: what the admin UI makes of the API's answers."""

from __future__ import annotations

from typing import Any

import pytest

from admin_ui import charts
from admin_ui.audit_wording import EVENTS, tell
from admin_ui.browsing import LONGEST_TRAIL, Browsing

LIST = Browsing("/list", page_size=10, default_sort="name")


def stats(**changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"total": 0, "deleted": 0, "by_status": {}, "by_program": [], "by_year": []}
    return found | changed


def test_the_longest_bar_is_whole_and_the_least_is_still_seen() -> None:
    bars = charts.by_status(stats(total=10_001, by_status={"enrolled": 10_000, "on_leave": 1}))
    sizes = {bar.label: bar.size for bar in bars}
    assert sizes == {"Applicant": 0, "Enrolled": 100, "On leave": 1, "Graduated": 0, "Withdrawn": 0}
    assert {bar.label: bar.share for bar in bars}["On leave"] == "under 1 %"


def test_without_students_every_bar_is_empty() -> None:
    for bars in (charts.by_status(stats()), charts.by_year(stats())):
        assert {(bar.count, bar.size, bar.share) for bar in bars} == {(0, 0, "0 %")}
    assert charts.by_program(stats()) == []


def test_the_parts_of_the_whole_lie_end_to_end() -> None:
    parts = charts.parts_of(charts.by_status(stats(total=8, by_status={"applicant": 2, "enrolled": 5, "withdrawn": 1})))
    assert [(part.tone, part.start, part.width) for part in parts] == [
        ("applicant", 0, 25),
        ("enrolled", 25, 62.5),
        ("withdrawn", 87.5, 12.5),
    ]
    assert charts.parts_of(charts.by_status(stats())) == []


def test_many_programs_end_in_one_bar_for_the_others_and_one_for_those_without() -> None:
    programs: list[dict[str, Any]] = [{"program": None, "count": 50}] + [
        {"program": f"P{n}", "count": 20 - n} for n in range(12)
    ]
    total = sum(entry["count"] for entry in programs)
    bars = charts.by_program(stats(total=total, by_program=programs))
    assert [bar.label for bar in bars] == [*(f"P{n}" for n in range(8)), "Other programs", "No program"]
    assert sum(bar.count for bar in bars) == total
    assert [bool(bar.href) for bar in bars] == [True] * 8 + [False, False]


def test_programs_that_the_api_left_out_count_among_the_others() -> None:
    bars = charts.by_program(stats(total=30, by_program=[{"program": "Arts", "count": 10}]))
    assert [(bar.label, bar.count) for bar in bars] == [("Arts", 10), ("Other programs", 20)]


def test_a_bar_leads_to_the_list_of_those_it_counts() -> None:
    bars = charts.by_program(stats(total=1, by_program=[{"program": "Music & Dance", "count": 1}]))
    assert bars[0].href == "/admin/students?program=Music+%26+Dance"


def test_pages_go_forth_and_back_again() -> None:
    seen, state = [], LIST.reading({})
    for cursor in ("c2", "c3", "c4"):
        seen.append(state.address())
        state = LIST.reading(query_of(state.next_url(cursor)))
    assert (state.page, state.first_shown, state.cursor) == (4, 31, "c4")
    for address in reversed(seen):
        previous = state.previous_url()
        assert previous == address
        state = LIST.reading(query_of(previous))
    assert state.previous_url() is None


def test_a_long_way_back_is_not_kept_for_ever() -> None:
    state = LIST.reading({})
    for number in range(40):
        state = LIST.reading(query_of(state.next_url(f"c{number}")))
    assert len(state.trail) == LONGEST_TRAIL
    for _ in range(LONGEST_TRAIL):
        state = LIST.reading(query_of(state.previous_url() or ""))
    assert state.page == 41 - LONGEST_TRAIL
    assert state.previous_url() is None, "only the first page is still known"


def test_a_new_filter_or_order_begins_at_the_first_page() -> None:
    state = LIST.reading({"q": "a", "cursor": "c", "page": "3"}, filters={"q": ()}, sorts=("name", "age"))
    assert state.url(q="b") == "/list?q=b"
    assert state.url(q="") == "/list"
    assert state.sort_url("age") == "/list?q=a&sort=age"
    assert state.sort_url("name") == "/list?q=a&sort=-name"


@pytest.mark.parametrize("number", ["", "0x", "²", "-1", "99999999"])
def test_a_page_number_that_is_none_counts_as_the_first(number: str) -> None:
    assert LIST.reading({"cursor": "c", "page": number}).page == 1


@pytest.mark.parametrize(
    ("event", "details", "what", "more"),
    [
        ("sign_in_failed", {"reason": "wrong_password"}, "Sign-in failed", "wrong password"),
        ("user_changed", {"role": "viewer", "password_reset": False}, "User changed", "now viewer"),
        ("user_changed", {"disabled": True, "password_reset": True}, "User changed", "disabled, password reset"),
        ("user_created", {"role": "admin"}, "User created", "administrator"),
        ("sessions_revoked", {"sessions": 1}, "All sessions ended", "1 session ended"),
        ("password_changed", {"sessions_ended": 3}, "Password changed", "3 sessions ended"),
        ("something_new", {}, "Something new", ""),
    ],
)
def test_entries_of_the_trail_are_told_in_words(event: str, details: dict[str, Any], what: str, more: str) -> None:
    told = tell({"event": event, "details": details})
    assert (told.what, told.more) == (what, more)


def test_every_event_of_the_trail_has_its_words() -> None:
    from auth_service.audit import Event

    assert set(EVENTS) == set(Event)


def query_of(address: str) -> dict[str, str]:
    from urllib.parse import parse_qsl, urlsplit

    return dict(parse_qsl(urlsplit(address).query))
