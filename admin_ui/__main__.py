"""``python -m admin_ui``: the tuned server."""

from __future__ import annotations

from admin_ui.settings import Settings
from servicekit.server import run
from servicekit.settings import load_settings

if __name__ == "__main__":
    run("admin_ui.main:app", load_settings(Settings), service="admin_ui")
