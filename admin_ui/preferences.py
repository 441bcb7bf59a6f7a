"""How a person likes the pages: theme, density, columns, shortcuts. Kept in a cookie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import parse_qs, urlencode

from fastapi import Request, Response

from admin_ui.settings import Settings

COOKIE = "matricula-preferences"
KEPT_SECONDS = 365 * 86_400
THEMES = ("system", "light", "dark")
DENSITIES = ("comfortable", "compact")
COLUMNS = {
    "number": "Number",
    "email": "E-mail",
    "status": "Status",
    "program": "Program",
    "year": "Year",
    "born": "Date of birth",
    "enrolled": "Enrolled on",
    "updated": "Last change",
}
DEFAULT_COLUMNS = ("number", "email", "status", "program", "year")


@dataclass(frozen=True)
class Preferences:
    """What a browser remembers; anything unknown in the cookie counts as the default."""

    theme: str = "system"
    density: str = "comfortable"
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    shortcuts: bool = True

    @classmethod
    def read(cls, request: Request) -> Self:
        """The preferences of this browser."""
        given = {name: values[0] for name, values in parse_qs(request.cookies.get(COOKIE, "")).items()}
        return cls().changed(given)

    def changed(self, given: dict[str, str]) -> Self:
        """With some of them set anew; what isn't a possible value is passed over."""
        found = self
        if given.get("theme") in THEMES:
            found = replace(found, theme=given["theme"])
        if given.get("density") in DENSITIES:
            found = replace(found, density=given["density"])
        if given.get("shortcuts") in {"on", "off"}:
            found = replace(found, shortcuts=given["shortcuts"] == "on")
        if "columns" in given:
            wanted = given["columns"].split(".")
            found = replace(found, columns=tuple(name for name in COLUMNS if name in wanted))
        return found

    def keep(self, response: Response, settings: Settings) -> None:
        """Have the browser remember them."""
        value = urlencode(
            {
                "theme": self.theme,
                "density": self.density,
                "columns": ".".join(self.columns) or "-",
                "shortcuts": "on" if self.shortcuts else "off",
            }
        )
        response.set_cookie(
            COOKIE,
            value,
            max_age=KEPT_SECONDS,
            path="/admin",
            secure=settings.cookies_are_secure,
            httponly=True,
            samesite="lax",
        )
