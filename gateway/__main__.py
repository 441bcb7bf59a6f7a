"""``python -m gateway``: the tuned server, with the strict edge."""

from __future__ import annotations

import signal

# A second passes until its handler is in place, mostly with what is imported below: it would end the process till then.
signal.signal(signal.SIGHUP, signal.SIG_IGN)

from gateway.edge_log import GatewayProtocol  # noqa: E402 - see above
from gateway.settings import Settings  # noqa: E402 - see above
from servicekit.server import run  # noqa: E402 - see above
from servicekit.settings import load_settings  # noqa: E402 - see above

if __name__ == "__main__":
    run("gateway.main:app", load_settings(Settings), service="gateway", reloads_on_hangup=True, http=GatewayProtocol)
