"""How long a person stays signed in to the pages is a setting of its own."""

from __future__ import annotations

import pytest

from admin_ui.settings import Settings
from servicekit.settings import load_settings


def test_one_environment_for_all_processes_leaves_the_pages_their_own_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_MAX_TTL", "7776000")  # of auth_service: longer than a browser may stay signed in
    monkeypatch.setenv("ADMIN_UI_SESSION_MAX_TTL", "3600")
    monkeypatch.setenv("ADMIN_UI_SESSION_IDLE_TTL", "600")
    settings = load_settings(Settings)
    assert (settings.admin_ui_session_max_ttl, settings.admin_ui_session_idle_ttl) == (3600, 600)
