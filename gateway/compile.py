"""``python -m gateway.compile``: the data path as extension modules, made by Cython and the machine's C compiler.

Each module is compiled as it is, and does what it does in Python, but that annotations hold: what is declared as
``bytes``, as an argument or as a field in a ``.pxd`` file, takes nothing else (TypeError). Bounds and ``None`` are
checked as in Python.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import sysconfig
import time
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from gateway.compiled import BUILD, MODULES, REPOSITORY, extension_files, folder, source_of, sources

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": True,  # 1 µs of 45: arguments annotated as bytes, dict or list are handled as such
    "nonecheck": True,  # a field of an object that is None raises, as in Python
    "embedsignature": False,
}
C_OPTIONS = [
    "-O3",
    "-g0",  # five times smaller, and quicker made
    # Cython 3.3 declares a coroutine that returns one of our types as that type, where it makes a coroutine; both are
    # pointers to objects. GCC 14 would refuse it.
    "-Wno-incompatible-pointer-types",
]
HELP = """A C compiler and Python's headers are needed (Debian, Ubuntu: `apt install gcc python3-dev`), and Cython and
setuptools (requirements-dev.txt). Without them the gateway runs interpreted, a fifth slower."""


def main() -> int:
    """Compile what has changed; the result is the exit code."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a test run and a benchmark may both want it done
        if extension_files(folder()):
            print("The gateway is compiled already.")
            return 0
        print(f"Compiling the gateway ({len(MODULES)} modules; about a minute if all are new) ...", flush=True)
        began = time.monotonic()
        try:
            _compile(folder())
        except _CannotCompile as error:
            print(f"The gateway can't be compiled: {error}.\n{HELP}", file=sys.stderr)
            return 1
        print(f"Compiled in {time.monotonic() - began:.0f} s.")
        return 0


class _CannotCompile(Exception):
    """Something is missing, or the compiler gave up; the message says which."""


def _compile(place: Path) -> None:
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError
        from setuptools import Distribution, Extension
        from setuptools.command.build_ext import build_ext
        from setuptools.errors import BaseError, CCompilerError
    except ImportError as error:
        raise _CannotCompile(str(error)) from None
    os.chdir(REPOSITORY)
    work = BUILD / "work"
    built = work / sysconfig.get_config_var("SOABI")
    # By what a module is made of, not by the time at which its file was written: that may be older than what is built.
    present = {module: _digest(module, version("cython")) for module in MODULES}
    record = built / "made_of.json"
    made_of = json.loads(record.read_text()) if record.exists() else {}
    extensions = [
        Extension(module, [str(source_of(module).relative_to(REPOSITORY))], extra_compile_args=C_OPTIONS)
        for module in MODULES
        if made_of.get(module) != present[module]
    ]
    record.unlink(missing_ok=True)
    try:
        extensions = cythonize(  # type: ignore[no-untyped-call]  # Cython has no types for it
            extensions, build_dir=str(work / "c"), compiler_directives=DIRECTIVES, quiet=True, force=True
        )
        command = build_ext(Distribution({"name": "gateway", "ext_modules": extensions}))
        command.build_lib, command.build_temp = str(built), str(work / "objects")
        command.force, command.parallel = True, os.cpu_count()
        command.ensure_finalized()
        command.run()
    except (BaseError, CCompilerError, CompileError) as error:
        raise _CannotCompile(str(error).strip() or type(error).__name__) from None
    record.write_text(json.dumps(present))
    _put(built, place)


def _digest(module: str, cython_version: str) -> str:
    """What its extension module is made of: its source, all declarations, and what compiles it."""
    declarations = [path for path in sources() if path.suffix == ".pxd"]
    digest = sha256(cython_version.encode())
    for path in (source_of(module), *declarations, Path(__file__)):
        digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _put(built: Path, place: Path) -> None:
    """Let the new folder appear at once, and remove those of other sources."""
    for old in BUILD.glob(f"{sysconfig.get_config_var('SOABI')}-*"):
        shutil.rmtree(old)
    copy = BUILD / "work" / place.name
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for module in MODULES:
        shutil.copyfile(built / (module.replace(".", "/") + suffix), copy / (module + suffix))
    copy.rename(place)


if __name__ == "__main__":
    sys.exit(main())
