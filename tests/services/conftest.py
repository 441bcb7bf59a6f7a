"""What the tests of a single service share."""

from __future__ import annotations

import pytest

PATIENCE_SECONDS = 30.0  # far longer than any of these batches takes, even on a machine with other work


@pytest.fixture(autouse=True)
def whole_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are answered whole, not after two seconds with 202, so that a busy machine changes no answer.

    What becomes of longer ones is shown in the browser and with real processes.
    """
    for module in ("batch_routes", "import_routes"):
        monkeypatch.setattr(f"student_service.{module}.INLINE_SECONDS", PATIENCE_SECONDS)
