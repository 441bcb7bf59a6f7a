"""`python -m tests.support.fake_stack OFFSET [SERVICE=BEHAVIOUR ...]`: the real stack with fake services."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from stack.conductor import run
from stack.layout import Layout, Service, plan

FAKE_SERVICE = Path(__file__).with_name("fake_service.py")


def fake_layout(port_offset: int, behaviours: dict[str, str]) -> Layout:
    def fake(service: Service) -> Service:
        command = (sys.executable, str(FAKE_SERVICE), service.name, behaviours.get(service.name, "well"))
        return replace(service, command=command)

    layout = plan(os.environ, port_offset)
    return replace(layout, rows=tuple(tuple(fake(service) for service in row) for row in layout.rows))


if __name__ == "__main__":
    layout = fake_layout(int(sys.argv[1]), dict(pair.split("=", 1) for pair in sys.argv[2:]))
    sys.exit(asyncio.run(run(layout, ready_timeout_seconds=3)))
