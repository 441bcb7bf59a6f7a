"""`python -m stack`: runs the whole system in the foreground. `make run` calls it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from stack.conductor import run
from stack.console import say
from stack.layout import OVERRIDDEN, highest_port_offset, plan

DESCRIPTION = """Runs the whole system on this machine in the foreground: Valkey (unless REDIS_URL is set),
auth_service on port 8002, student_service on 8001, admin_ui on 8003 and the gateway on 8000."""

ENVIRONMENT = """The environment goes to every process, with these exceptions: PORT and the four *_URL variables of the
services are set here, so that the processes find each other; WORKERS is the gateway's number of workers, the others
have one each. HOST is what all of them bind, VAR_DIR (default: var) is where data and logs go."""


def main() -> int:
    """Runs the system; the exit code is 0 after Ctrl-C, SIGTERM or SIGHUP and 1 after a failure."""
    parser = argparse.ArgumentParser(prog="python -m stack", description=DESCRIPTION, epilog=ENVIRONMENT)
    parser.add_argument(
        "--port-offset",
        type=_port_offset,
        default=os.environ.get("STACK_PORT_OFFSET") or "0",
        metavar="N",
        help="add N to every port, to run a second system beside one (default: $STACK_PORT_OFFSET or 0)",
    )
    parser.add_argument("--verbose", action="store_true", help="show every log line, not just warnings and errors")
    arguments = parser.parse_args()
    if ignored := [name for name in OVERRIDDEN if os.environ.get(name)]:
        say(f"Ignoring {', '.join(ignored)}: the stack starts its own services on its own ports.")
    layout = plan(os.environ, arguments.port_offset)
    say(f"Starting Matricula in {layout.state_dir} ...")
    return asyncio.run(run(layout, verbose=arguments.verbose))


def _port_offset(text: str) -> int:
    highest = highest_port_offset()
    if not text.isdecimal() or int(text) > highest:
        raise argparse.ArgumentTypeError(
            f"STACK_PORT_OFFSET or --port-offset is a number from 0 to {highest}, not {text!r}"
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
