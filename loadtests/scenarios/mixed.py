"""A working day: all that people do at once, in stated proportions. It runs when no scenario is named.

`--config-users '[{"user_class_name": "Registrar", "weight": 60}]'` changes a weight; naming classes chooses others.
"""

from __future__ import annotations

MIX = {
    "browsing": 60,
    "registrar": 20,
    "admin-pages": 12,
    "session-life": 4,
    "sign-in": 4,
}
"""Scenario → its share of the people, in percent."""
