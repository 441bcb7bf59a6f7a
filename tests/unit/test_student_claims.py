"""Who may have what somebody else has, when many change at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from student_service.claims import Claim, groups, refused


def claims(*pairs: tuple[int, int], kept_by: tuple[int, ...] = ()) -> list[Claim]:
    return [Claim(claimant, "email", holder, holder not in kept_by) for claimant, holder in pairs]


def test_who_passes_on_may_be_passed_something_on() -> None:
    assert refused(claims((1, 2), (2, 1))) == {}
    assert refused(claims((1, 2), (2, 3), (3, 1))) == {}
    assert refused(claims((1, 2), (2, 3))) == {}


def test_who_keeps_something_refuses_all_who_depend_on_it() -> None:
    assert refused(claims((1, 2), (2, 3), (3, 4), (8, 9), (9, 8), kept_by=(4,))).keys() == {1, 2, 3}


def test_each_field_that_is_refused_is_told_once() -> None:
    both = [Claim(1, "email", 2, False), Claim(1, "student_number", 3, False), Claim(2, "email", 4, True)]
    assert {who: sorted(fields) for who, fields in refused(both).items()} == {1: ["email", "student_number"]}


def test_those_who_hang_together_have_one_leader_and_others_another() -> None:
    leaders = groups(claims((1, 2), (2, 3), (7, 8), (4, 3)))
    assert len({leaders[one] for one in (1, 2, 3, 4)}) == 1
    assert leaders[7] == leaders[8] != leaders[1]


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_what_is_granted_leaves_nobody_with_what_another_one_keeps(after: list[int], keeps: set[int]) -> None:
    wanted = [(who, has) for who, has in enumerate(after) if who != has and who not in keeps]
    is_moving = {who for who, _ in wanted}
    told = [Claim(who, "email", holder, holder in is_moving) for who, holder in wanted]
    gone = refused(told)
    final = [has if who in is_moving and who not in gone else who for who, has in enumerate(after)]
    assert sorted(final) == list(range(12))
