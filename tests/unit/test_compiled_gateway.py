"""Which gateway a process runs: the extension modules of just these sources, or the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.compiled import MODULES, extension_files, folder, source_of, sources

REPOSITORY = Path(__file__).resolve().parent.parent.parent
WHERE_IT_COMES_FROM = """
from gateway.compiled import use_compiled
print(use_compiled(MODE))
import gateway.edge.head, servicekit.log_sink
print(gateway.edge.head.__file__.endswith(".so"), servicekit.log_sink.__file__.endswith(".so"))
print(gateway.edge.head.parse_head(b"GET /a HTTP/1.1\\r\\nHost: b\\r\\n").raw_path)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gateway's sources, and the extension modules that were made of them, in a folder of their own."""
    if not extension_files(folder()):
        assert os.environ.get("MATRICULA_REQUIRE_COMPILED") != "1", "The compiled gateway is required here"
        pytest.skip("the gateway isn't compiled: make compile")
    copy = tmp_path_factory.mktemp("checkout")
    for package in ("gateway", "servicekit"):
        shutil.copytree(REPOSITORY / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(folder(), copy / folder().relative_to(REPOSITORY))
    return copy


def ask(checkout: Path, mode: str) -> list[str]:
    code = WHERE_IT_COMES_FROM.replace("MODE", repr(mode))
    run = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=False)
    return run.stdout.splitlines() if run.returncode == 0 else run.stderr.splitlines()[-1:]


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_extension_modules_of_the_present_sources_are_used(checkout: Path, mode: str) -> None:
    assert ask(checkout, mode) == ["True", "True True", "b'/a'"]


def test_they_can_be_left_alone(checkout: Path) -> None:
    assert ask(checkout, "off") == ["False", "False False", "b'/a'"]


@pytest.mark.parametrize("name", ["gateway/edge/head.py", "gateway/record.pxd", "gateway/compile.py"])
def test_after_an_edit_anywhere_all_of_them_are_left_alone(checkout: Path, name: str) -> None:
    file = checkout / name
    text = file.read_text()
    file.write_text(text + "# edited\n")
    try:
        assert ask(checkout, "auto") == ["False", "False False", "b'/a'"]
        assert "run `make compile`" in ask(checkout, "required")[0]
    finally:
        file.write_text(text)
    assert ask(checkout, "auto")[0] == "True"


def test_one_that_is_missing_is_all_that_are_missing(checkout: Path) -> None:
    file = next(checkout.glob("build/gateway/*/gateway.paths.*"))
    hidden = file.rename(file.with_suffix(".hidden"))
    try:
        assert ask(checkout, "auto")[0] == "False"
    finally:
        hidden.rename(file)


def test_a_mode_that_does_not_exist_is_named(checkout: Path) -> None:
    assert ask(checkout, "yes") == ["ValueError: it is one of auto, off, required"]


def test_every_module_and_every_declaration_has_its_place() -> None:
    assert all(source_of(module).is_file() for module in MODULES)
    declarations = {path for package in ("gateway", "servicekit") for path in (REPOSITORY / package).rglob("*.pxd")}
    assert declarations <= set(sources())
