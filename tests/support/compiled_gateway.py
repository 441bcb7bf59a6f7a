"""A pytest plugin, `-p tests.support.compiled_gateway`: in this process too, the gateway's data path is compiled."""

from __future__ import annotations

from gateway.compiled import use_compiled

use_compiled("required")
