"""Which Python the contenders in Python run on: a release build, as the others are.

CPython compiled without profile-guided optimisation, which is what ``./configure && make`` and pyenv make by default,
runs the gateway about a fifth slower than the same version from Debian, Docker Hub or python.org. Envoy, nginx, HAProxy
and Node.js come as release builds too.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from loadtests.compare.installing import Missing, run_installer

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SYSTEM_PYTHON = Path("/usr/bin/python3")
OLDEST = (3, 11)


@dataclass(frozen=True)
class Interpreter:
    """A Python with the project's requirements."""

    program: Path
    description: str


def choose_interpreter(folder: Path, wanted: str | None) -> Interpreter:
    """The Python that was asked for; else this one, or the system's if this one isn't a release build.

    Any but this one gets a virtual environment with ``requirements.txt``, below ``folder``.

    Raises:
        Missing: The one that was asked for can't be used.
    """
    here = Path(sys.executable)
    if wanted is None:
        if _is_release_build():
            return Interpreter(here, f"Python {_version(here)}")
        try:
            system = _with_requirements(SYSTEM_PYTHON, folder)
        except Missing:
            print(
                "  note: this Python was compiled without --enable-optimizations and runs the gateway a fifth slower;"
                " --python names another",
                flush=True,
            )
            return Interpreter(here, f"Python {_version(here)}, compiled without --enable-optimizations")
        print(f"  this Python is no release build: taking the system's, {_version(system)}", flush=True)
        return Interpreter(system, f"Python {_version(system)} (the system's)")
    program = _with_requirements(Path(wanted), folder)
    return Interpreter(program, f"Python {_version(program)}")


def _is_release_build() -> bool:
    """Whether this Python says that it was optimised, or comes from a distribution, which optimises in its own way."""
    return sys.base_prefix == "/usr" or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")


def _with_requirements(base: Path, folder: Path) -> Path:
    version = _version(base)
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        raise Missing(f"{base} is Python {version}; it takes {OLDEST[0]}.{OLDEST[1]} or newer")
    environment = folder / f"python-{version}"
    program = environment / "bin" / "python"
    requirements = REPOSITORY / "requirements.txt"
    done = environment / "requirements.txt"
    if not done.exists() or done.read_bytes() != requirements.read_bytes():
        print(f"  installing the requirements for Python {version} ...", flush=True)
        # Without pip of its own, which Debian keeps in a package apart: this Python's installs for the other.
        run_installer([base, "-m", "venv", "--clear", "--without-pip", environment])
        run_installer([sys.executable, "-m", "pip", "--python", program, "install", "-q", "-r", requirements])
        done.write_bytes(requirements.read_bytes())
    return program


def compile_gateway(interpreter: Interpreter) -> None:
    """Let there be extension modules for the Python that is measured.

    Raises:
        Missing: It can't be done.
    """
    print("Compiling the gateway, which may take a minute ...", flush=True)
    command: list[str | Path] = [interpreter.program, "-m", "gateway.compile"]
    if subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False).returncode == 0:  # noqa: S603 - ours
        return
    # The Python of another version, and without the compiler's half of our own requirements.
    pins = REPOSITORY / "requirements-dev.txt"
    install: list[str | Path] = [sys.executable, "-m", "pip", "--python", interpreter.program, "install", "-q"]
    run_installer([*install, "-c", pins, "cython", "setuptools"])
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if run.returncode != 0:
        raise Missing(run.stderr.strip())


def _version(program: Path) -> str:
    code = "import platform; print(platform.python_version())"
    try:
        run = subprocess.run([program, "-c", code], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 - a Python
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"{program} is no Python that runs: {error}") from None
    return run.stdout.strip()
