"""How many retries an upstream can bear: a share of its requests, so that an outage isn't made worse. Pure."""

from __future__ import annotations


class RetryBudget:
    """Every request earns `ratio` of a retry; unspent ones are kept up to `most`.

    It starts with some in hand, or the first failures after a start would reach the clients.
    """

    __slots__ = ("_balance", "_most", "_ratio")

    def __init__(self, ratio: float, *, initial: float = 10.0, most: float = 100.0) -> None:
        self._ratio = ratio
        self._most = most
        self._balance = min(initial, most) if ratio > 0 else 0.0

    def note_request(self) -> None:
        if self._balance < self._most:
            self._balance += self._ratio

    def spend(self) -> bool:
        """Take one retry; False if there is none."""
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True
