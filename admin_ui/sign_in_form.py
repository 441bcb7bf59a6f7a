"""The sign-in form and its token, which stands for a session while there is none.

Without it another site could sign a person in under the attacker's name (login CSRF). It is held against a cookie that
only this site can set and read.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from fastapi import Request, Response

from admin_ui.browser import HOME
from admin_ui.kept_form import KeptForm
from admin_ui.settings import Settings
from admin_ui.view import render
from admin_ui.visitor import StaleForm, cookie_name, services_of


@dataclass(frozen=True)
class SignInForm:
    """What the form shows and carries along."""

    target: str = HOME
    username: str = ""
    notice: str = ""
    kept: KeptForm = field(default_factory=KeptForm)


def sign_in_page(
    request: Request, form: SignInForm, *, template: str = "sign_in/form.html", status: int = 200, wait: int = 0
) -> Response:
    """The form; ``wait`` is how many seconds to wait before another attempt."""
    settings = services_of(request).settings
    token = request.cookies.get(_cookie(settings)) or secrets.token_urlsafe(24)
    response = render(
        request, template, status=status, csrf=token, form=form, failed=status == 401 and bool(form.username), wait=wait
    )
    response.set_cookie(
        _cookie(settings), token, path="/", secure=settings.cookies_are_secure, httponly=True, samesite="strict"
    )
    return response


def check_token(request: Request, token: str) -> None:
    """
    Raises:
        StaleForm: The form wasn't shown to this browser by us.
    """
    kept = request.cookies.get(_cookie(services_of(request).settings), "")
    if not kept or not secrets.compare_digest(kept.encode(), token.encode()):
        raise StaleForm


def _cookie(settings: Settings) -> str:
    return cookie_name(settings) + "-form"
