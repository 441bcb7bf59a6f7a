"""What ``python -m gateway`` runs: the tuned server, with the strict edge."""

from __future__ import annotations

import os
import signal
import sys

# A second passes until its handler is in place, mostly with what is imported below: it would end the process till then.
signal.signal(signal.SIGHUP, signal.SIG_IGN)

from gateway.compiled import NotCompiled, use_compiled  # noqa: E402 - see above

try:  # here, and so in each worker too, before anything is imported that may be compiled
    use_compiled(os.environ.get("COMPILED", "auto").lower())
except (NotCompiled, ValueError) as error:
    sys.stderr.write(f"configuration error: COMPILED: {error}\n")
    raise SystemExit(2) from None

from gateway.edge_log import GatewayProtocol  # noqa: E402 - see above
from gateway.settings import Settings  # noqa: E402 - see above
from servicekit.server import run  # noqa: E402 - see above
from servicekit.settings import load_settings  # noqa: E402 - see above

if __name__ == "__main__":
    run("gateway.main:app", load_settings(Settings), service="gateway", reloads_on_hangup=True, http=GatewayProtocol)
