"""``python -m auth_service`` serves; ``python -m auth_service rotate-keys`` adds a signing key."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta

from auth_service.key_ring import rotate
from auth_service.keys import BadKey
from auth_service.settings import Settings
from servicekit.server import run
from servicekit.settings import load_settings


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m auth_service", description="Users, sessions and tokens.")
    commands = parser.add_subparsers(dest="command", title="commands (none: serve)")
    rotation = commands.add_parser(
        "rotate-keys",
        help="add a signing key; running workers publish it at once and sign with it after the lead time",
    )
    rotation.add_argument(
        "--lead", type=int, metavar="SECONDS", help="until it signs; default SIGNING_KEY_LEAD (600)", default=None
    )
    chosen = parser.parse_args(arguments)
    settings = load_settings(Settings)
    if chosen.command == "rotate-keys":
        lead = settings.signing_key_lead if chosen.lead is None else max(0, chosen.lead)
        _rotate_keys(settings, timedelta(seconds=lead))
    else:
        run("auth_service.main:app", settings, service="auth_service")


def _rotate_keys(settings: Settings, lead: timedelta) -> None:
    try:
        key, deleted = rotate(settings, lead, datetime.now(UTC))
    except (BadKey, OSError) as error:
        sys.stderr.write(f"rotate-keys: {error}\n")
        raise SystemExit(2) from None
    sys.stdout.write(f"New key {key.kid} in {settings.keys_folder}: published now, signs from {key.signs_from}.\n")
    for name in deleted:
        sys.stdout.write(f"Deleted {name}: its last token has expired.\n")


if __name__ == "__main__":
    main()
