"""``python -m gateway``: the tuned server, with the strict edge."""

from __future__ import annotations

from gateway.edge_log import GatewayProtocol
from gateway.settings import Settings
from servicekit.server import run
from servicekit.settings import load_settings

if __name__ == "__main__":
    run("gateway.main:app", load_settings(Settings), service="gateway", reloads_on_hangup=True, http=GatewayProtocol)
