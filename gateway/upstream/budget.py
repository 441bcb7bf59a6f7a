"""How many retries an upstream can bear: a share of its requests, so that an outage isn't made worse. Pure."""

from __future__ import annotations


class RetryBudget:
    """Every request earns `ratio` of a retry; unspent ones are kept up to `most`.

    It starts with some in hand, or the first failures after a start would reach the clients.

    A retry because a kept-alive connection was closed may go on credit, up to `most`: it is hardly ever load (the
    server has closed without reading) and must not be the client's error. But a server that reads and closes, again and
    again, would be asked twice for everything, so it is counted, and what is owed comes off the other retries.
    """

    __slots__ = ("_balance", "_most", "_ratio")

    def __init__(self, ratio: float, *, initial: float = 10.0, most: float = 100.0) -> None:
        self._ratio = ratio
        self._most = most
        self._balance = min(initial, most) if ratio > 0 else 0.0

    def note_request(self) -> None:
        if self._balance < self._most:
            self._balance += self._ratio

    def spend(self, *, on_credit: bool = False) -> bool:
        """Take one retry; False if there is none."""
        if self._balance < (1.0 - self._most if on_credit else 1.0):
            return False
        self._balance -= 1.0
        return True
