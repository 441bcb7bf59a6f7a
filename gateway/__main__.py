"""``python -m gateway``: see ``gateway.serve``, which runs under its own name so that each worker process runs it too.

What a spawned process begins with is its parent's main module, unless that one is called ``__main__``
(``multiprocessing.spawn``).
"""

from __future__ import annotations

import runpy

if __name__ == "__main__":
    runpy.run_module("gateway.serve", run_name="__main__", alter_sys=True)
