"""`locust -f loadtests` executes every module in the folder: that must load each scenario once and do nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "loadtests"
SCENARIOS = {"AdminPages", "Browsing", "GatewayOverhead", "RateLimits", "Registrar", "SessionLife", "SignInStorm"}


def executed() -> list[Path]:
    """What Locust takes for locustfiles in a folder."""
    return [path for path in FOLDER.rglob("*.py") if not path.name.startswith("_")]


def listed(target: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", target, "--list"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)


def test_the_folder_has_each_scenario_once() -> None:
    found = listed("loadtests")
    assert found.returncode == 0, found.stderr
    assert {line.strip() for line in found.stdout.splitlines()[1:]} == SCENARIOS
    noise = [line for line in found.stderr.splitlines() if "Starting Locust" not in line]
    assert not noise, "a module does something when it is loaded"


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((FOLDER / "scenarios").glob("[a-z]*.py")) if path.stem != "mixed"],  # it has only weights
    ids=lambda path: path.stem,
)
def test_each_scenario_can_be_run_from_its_own_file(path: Path) -> None:
    found = listed(str(path))
    assert found.returncode == 0, found.stderr
    names = {line.strip() for line in found.stdout.splitlines()[1:]}
    assert len(names) == 1
    assert names <= SCENARIOS


def test_our_arguments_can_be_listed_with_defaults_and_environment_variables() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.run_options"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    said = " ".join(done.stdout.split())
    assert "--open-model each user stands for one arrival a second" in said
    assert "(default: 20) [LOCUST_MOST_IN_FLIGHT]" in said
    assert "[LOCUST_ADMIN_PASSWORD]" in said


@pytest.mark.parametrize(("argument", "named"), [("--nonsense", "--nonsense"), ("Nobody", "Unknown User(s): Nobody")])
def test_make_load_tells_a_wrong_argument_before_it_starts_anything(argument: str, named: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.on_this_machine", argument], cwd=REPOSITORY, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert named in done.stderr
    assert "Starting" not in done.stdout


def test_no_module_is_called_like_a_scenario_or_like_something_else_that_is_imported() -> None:
    # Each is put into sys.modules under its bare name; Locust tells duplicate classes by looking there.
    stems = Counter(path.stem for path in executed())
    scenarios = {path.stem for path in (FOLDER / "scenarios").glob("[a-z]*.py")}
    assert not {name for name in scenarios if stems[name] > 1}
    project = {path.name for path in REPOSITORY.iterdir() if (path / "__init__.py").exists()}
    assert not stems.keys() & (set(sys.stdlib_module_names) | set(packages_distributions()) | project)


def test_the_benchmark_beside_the_suite_brings_no_users() -> None:
    pattern = re.compile(r"^\s*(?:from|import) locust\b", re.MULTILINE)
    assert not [path for path in (FOLDER / "compare").rglob("*.py") if pattern.search(path.read_text())]


def test_the_benchmark_tells_a_wrong_argument_before_it_starts_or_compiles_anything() -> None:
    command = [sys.executable, "-m", "loadtests.compare", "--only", "ours,nobody"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no contender is called 'nobody': it takes ours," in done.stderr
    assert done.stdout == ""


def test_make_bench_leaves_it_to_the_benchmark_to_compile() -> None:
    make = shutil.which("make")
    if make is None or " " in sys.prefix:
        pytest.skip("needs make, and a virtual environment whose path has no space")
    # Not what a `make test` that runs this has put there.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = [make, "--dry-run", "-o", f"{sys.prefix}/installed-dev", "bench", f"VENV={sys.prefix}", "ARGS=--help"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == [f"{sys.prefix}/bin/python -m loadtests.compare --help"]
