"""The data path as extension modules: which modules they are, where they lie, and how a process comes to import them.

``python -m gateway.compile`` makes them with Cython from the modules themselves; the ``.pxd`` file beside a module says
which types its objects' fields have. A process imports them only if they were made from exactly the sources that are
here now: the folder's name is a digest of those. So whoever edits a module runs what was edited, and never half of it.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Literal

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD = REPOSITORY / "build" / "gateway"

MODULES = (
    "gateway.access_log",
    "gateway.admit",
    "gateway.edge.body",
    "gateway.edge.connection",
    "gateway.edge.exchange",
    "gateway.edge.head",
    "gateway.edge.protocol",
    "gateway.edge.response_fields",
    "gateway.fields",
    "gateway.forward",
    "gateway.gateway_metrics",
    "gateway.headers",
    "gateway.identify",
    "gateway.middleware",
    "gateway.paths",
    "gateway.rate_policy",
    "gateway.record",
    "gateway.redis_link",
    "gateway.route",
    "gateway.upstream.answer",
    "gateway.upstream.balancer",
    "gateway.upstream.breaker",
    "gateway.upstream.budget",
    "gateway.upstream.connection",
    "gateway.upstream.replica",
    "gateway.upstream.request",
    "gateway.upstream.response",
    "gateway.upstream.service",
    "servicekit.addresses",
    "servicekit.log_line",
    "servicekit.log_sink",
    "servicekit.request_context",
)
"""What a proxied request passes through. All are compiled, or none: they know the layout of each other's objects."""

Mode = Literal["auto", "off", "required"]
MODES: tuple[Mode, ...] = ("auto", "off", "required")


class NotCompiled(RuntimeError):
    """There are no extension modules of these sources for this Python; the message says how to get them."""


def source_of(module: str) -> Path:
    """Where a module's Python source is."""
    return REPOSITORY / (module.replace(".", "/") + ".py")


def sources() -> list[Path]:
    """All that the extension modules depend on: sources, declarations, and what compiles them."""
    modules = [source_of(module) for module in MODULES]
    declarations = [path for path in (module.with_suffix(".pxd") for module in modules) if path.exists()]
    return [*modules, *declarations, Path(__file__), source_of("gateway.compile")]


def folder() -> Path:
    """Where the extension modules of the present sources are for this Python, or would be."""
    digest = sha256()
    for path in sources():
        digest.update(
            b"%b %b\n" % (path.relative_to(REPOSITORY).as_posix().encode(), sha256(path.read_bytes()).digest())
        )
    return BUILD / f"{sysconfig.get_config_var('SOABI')}-{digest.hexdigest()[:16]}"


def extension_files(place: Path) -> dict[str, Path]:
    """The extension modules in a folder, by module; empty if one is missing.

    Each has its module's whole name, so that profilers and ``/proc/PID/maps`` tell which is which.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    files = {module: place / (module + suffix) for module in MODULES}
    return files if all(path.is_file() for path in files.values()) else {}


class _Finder(MetaPathFinder):
    """Answers for the compiled modules, before Python looks for their sources."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def use_compiled(mode: str) -> bool:
    """Have this process import the extension modules instead of the sources; tells whether it will.

    To be called before any of them is imported.

    Args:
        mode: ``auto``: if there are any; ``required``: there must be; ``off``: not even then.

    Raises:
        NotCompiled: They are required, and missing. ValueError: The mode is none of those.
    """
    if mode not in MODES:
        raise ValueError(f"it is one of {', '.join(MODES)}")
    if mode == "off":
        return False
    files = extension_files(folder())
    if not files:
        if mode == "required":
            raise NotCompiled("the gateway isn't compiled, or was changed since: run `make compile`")
        return False
    if loaded := sorted(sys.modules.keys() & files.keys()):
        raise RuntimeError(f"imported already: {', '.join(loaded)}")
    sys.meta_path.insert(0, _Finder(files))
    return True


def is_compiled() -> bool:
    """Whether the data path of this process is compiled."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)
