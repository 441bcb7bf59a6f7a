"""``python -m student_service``: the tuned server."""

from __future__ import annotations

from servicekit.server import run
from servicekit.settings import load_settings
from student_service.settings import Settings

if __name__ == "__main__":
    run("student_service.main:app", load_settings(Settings), service="student_service")
