"""HTTP clients for what services ask each other outside the data path: keys, readiness, documents."""

from __future__ import annotations

import ssl
from functools import lru_cache

import httpx2


def control_client(timeout_seconds: float) -> httpx2.AsyncClient:
    """A client for a few calls; it goes straight to where it is sent, whatever proxies the environment names."""
    return httpx2.AsyncClient(timeout=timeout_seconds, trust_env=False, verify=_tls_context())


@lru_cache(maxsize=1)
def _tls_context() -> ssl.SSLContext:
    """Shared: a client of its own reads the certificates anew, 20 to 60 ms in which its event loop serves nobody."""
    return httpx2.create_ssl_context(trust_env=False)
