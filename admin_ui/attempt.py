"""A form that couldn't be done as it was sent: shown again with what was typed, but never with a password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from admin_ui.browser import is_htmx
from admin_ui.gateway_client import GatewayAway, Refused

ABOUT_THE_FORM = {409, 422}
FOR_THE_MOMENT = {429, 500, 502, 503, 504}
NEEDED = "is needed"


@dataclass(frozen=True)
class Attempt:
    """How sending a form went; the first showing of a form is one that nothing is wrong with."""

    errors: dict[str, str] = field(default_factory=dict)
    refused: Refused | None = None
    is_away: bool = False

    @property
    def status(self) -> int:
        """The status of the page that shows the form again."""
        if self.is_away:
            return 503
        if self.refused is not None:
            return self.refused.status
        return 422 if self.errors else 200

    def context(self) -> dict[str, Any]:
        """What ``layout/trouble.html`` and the fields take."""
        return {"errors": self.errors, "refused": self.refused, "is_away": self.is_away}


def failed(request: Request, error: Refused | GatewayAway) -> Attempt:
    """What to show above the form.

    Raises:
        Refused, GatewayAway: It isn't about the form, or a script asked, which keeps its form by itself.
    """
    if isinstance(error, GatewayAway):
        if is_htmx(request):
            raise error
        return Attempt(is_away=True)
    if error.status in ABOUT_THE_FORM or (error.status in FOR_THE_MOMENT and not is_htmx(request)):
        # The page ends each sentence itself.
        return Attempt({name: message.rstrip(".") for name, message in error.errors.items()}, error)
    raise error
