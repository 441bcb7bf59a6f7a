"""``python -m gateway.compile``: the data path as extension modules, made by Cython and the machine's C compiler.

Each module is compiled as it is, and does what it does in Python, but that annotations hold: what is declared as
``bytes``, as an argument or as a field in a ``.pxd`` file, takes nothing else (TypeError). Bounds and ``None`` are
checked as in Python.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import sysconfig
import time
from pathlib import Path

from gateway.compiled import BUILD, MODULES, REPOSITORY, extension_files, folder, source_of

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": True,  # 1 µs of 45: arguments annotated as bytes, dict or list are handled as such
    "nonecheck": True,  # a field of an object that is None raises, as in Python
    "embedsignature": False,
}
C_OPTIONS = [
    "-O3",
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
    extensions = [
        Extension(module, [str(source_of(module).relative_to(REPOSITORY))], extra_compile_args=C_OPTIONS)
        for module in MODULES
    ]
    try:
        extensions = cythonize(extensions, build_dir=str(work / "c"), compiler_directives=DIRECTIVES, quiet=True)  # type: ignore[no-untyped-call]  # Cython doesn't say
        command = build_ext(Distribution({"name": "gateway", "ext_modules": extensions}))
        command.build_lib = str(work / sysconfig.get_config_var("SOABI"))
        command.build_temp = str(work / "objects")
        command.parallel = os.cpu_count()
        command.ensure_finalized()
        command.run()
    except (BaseError, CCompilerError, CompileError) as error:
        raise _CannotCompile(str(error).strip() or type(error).__name__) from None
    _put(Path(command.build_lib), place)


def _put(built: Path, place: Path) -> None:
    """Let the new folder appear at once, and remove those of other sources."""
    for old in BUILD.glob(f"{sysconfig.get_config_var('SOABI')}-*"):
        shutil.rmtree(old)
    copy = BUILD / "work" / place.name
    shutil.copytree(built, copy, dirs_exist_ok=True)
    copy.rename(place)


if __name__ == "__main__":
    sys.exit(main())
