"""Whether the ports are free, asked before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from stack.layout import Layout, Service


def complaint_about_taken_ports(layout: Layout) -> str | None:
    """One line that names the taken ports, who needs them and what to do; None when all are free.

    A host that cannot be bound at all is a complaint, too.
    """
    try:
        taken = [service for service in layout.services if _is_taken(layout.bind_host, service.port)]
    except OSError as error:
        return f"HOST={layout.bind_host} cannot be listened on: {error.strerror}."
    if not taken:
        return None
    port = taken[0].port
    return (
        f"{_names(taken)} in use by another program, perhaps a second `make run`. Stop it (`lsof -i :{port}` or "
        f"`ss -ltnp sport = :{port}` shows which it is), or choose other ports: `make run ARGS='--port-offset 100'`."
    )


def _names(taken: Iterable[Service]) -> str:
    words = [f"{service.port} ({service.name})" for service in taken]
    if len(words) == 1:
        return f"Port {words[0]} is"
    return f"Ports {', '.join(words)} are"


def _is_taken(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the servers do: connections of the last run that are still in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False
