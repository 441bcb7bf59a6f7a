"""The rules of docs/decisions.md and the README that a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("architecture")  # so that one process reads all files, once

REPOSITORY = Path(__file__).resolve().parent.parent
SERVICES = ("gateway", "auth_service", "student_service", "admin_ui")
PROJECT = (*SERVICES, "servicekit", "stack", "loadtests", "tests")

# Package → top-level packages or modules that it must not import, and why.
NEVER_IMPORTS: dict[str, tuple[set[str], str]] = {
    **{
        service: ({*SERVICES, "stack", "loadtests", "tests"} - {service}, "services meet only over HTTP")
        for service in SERVICES
    },
    "servicekit": ({*SERVICES, "stack", "loadtests", "tests"}, "what all services share knows none of them"),
    "stack": ({*SERVICES, "loadtests", "tests"}, "the stack starts processes"),
    "loadtests": ({*SERVICES, "servicekit", "stack", "tests"}, "a load test is an outside client"),
}
ADMIN_UI_NEVER_IMPORTS = {
    "alembic", "hiredis", "httptools", "jwt", "psycopg", "servicekit.database",
    "servicekit.security", "servicekit.tokens", "sqlalchemy", "sqlite3",
}  # fmt: skip
HTTP_CLIENTS = {"aiohttp", "http.client", "httpx", "httpx2", "requests", "urllib.request", "urllib3"}
FRAMEWORKS_AND_IO = HTTP_CLIENTS | {
    "alembic", "asyncio", "fastapi", "hiredis", "psycopg", "redis", "servicekit.redis_client", "slowapi", "socket",
    "sqlalchemy", "sqlite3", "starlette", "uvicorn",
}  # fmt: skip

# They decide, and leave the doing to others: values in, values out. A module whose docstring says "Pure" is held to it,
# too.
PURE_MODULES = {
    "auth_service/devices.py",
    "auth_service/keys.py",
    "auth_service/roles.py",
    "auth_service/usernames.py",
    "gateway/edge/body.py",
    "gateway/edge/head.py",
    "gateway/paths.py",
    "gateway/rate_policy.py",
    "gateway/upstream/breaker.py",
    "gateway/upstream/budget.py",
    "gateway/upstream/policy.py",
    "stack/layout.py",
    "student_service/conditional.py",
    "student_service/folding.py",
    "student_service/rules.py",
    "student_service/values.py",
}

SIGNING_NAMES = {"Ed25519PrivateKey", "load_pem_private_key", "generate_private_key"}
BANNED_MODULE_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
LONGEST_FILE_LINES = 350
LONGER_FILES = {  # path → why it is better whole
    "gateway/upstream/connection.py": "one exchange's states and deadlines, which most of its methods change",
    "tests/support/edge_corpus.py": "one table of cases",
}
MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:work|root|home/\w+|tmp/plan)/")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
UNEXPLAINED_IGNORE = re.compile(r"#\s*(?:noqa(?!: \S+(?:, ?\S+)* +[-#] ?\S)|type: ignore(?!\[[\w, -]+\]\s+# \S))")
TEXT_SUFFIXES = {
    ".cfg",
    ".css",
    ".html",
    ".ini",
    ".js",
    ".json",
    ".lua",
    ".mako",
    ".md",
    ".pxd",
    ".py",
    ".sh",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
    "",
}


def tracked_files() -> list[Path]:
    """What is in the repository, or is about to be."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (REPOSITORY / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


FILES = tracked_files()
PYTHON_FILES = [path for path in FILES if path.suffix == ".py"]


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def python_files_of(package: str) -> list[Path]:
    return [path for path in PYTHON_FILES if path.relative_to(REPOSITORY).parts[0] == package]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports_of(path: Path) -> list[tuple[int, str]]:
    """Every imported module or name with its line, in functions too: `from a import b` gives `a` and `a.b`."""
    package = path.relative_to(REPOSITORY).parent.parts
    found = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*parents, *filter(None, [node.module])))
            found += [(node.lineno, module), *((node.lineno, f"{module}.{alias.name}") for alias in node.names)]
    return found


def imports_from(path: Path, modules: set[str]) -> list[str]:
    """Where this file imports one of these modules or something inside them."""
    return [
        f"{name_of(path)}:{line} imports {name}"
        for line, name in imports_of(path)
        if any(name == module or name.startswith(module + ".") for module in modules)
    ]


@pytest.mark.parametrize("package", NEVER_IMPORTS)
def test_packages_import_only_what_they_may(package: str) -> None:
    forbidden, reason = NEVER_IMPORTS[package]
    assert not [found for path in python_files_of(package) for found in imports_from(path, forbidden)], reason


def test_the_stack_takes_only_the_embedded_valkey_from_servicekit() -> None:
    taken = {
        name for path in python_files_of("stack") for _, name in imports_of(path) if name.startswith("servicekit.")
    }
    assert all(name.startswith("servicekit.embedded_valkey") for name in taken), taken


def test_admin_ui_knows_only_the_gateways_http_api() -> None:
    files = python_files_of("admin_ui")
    assert not [found for path in files for found in imports_from(path, ADMIN_UI_NEVER_IMPORTS)]
    # Its own sessions live in Redis; what else is in there is none of its business.
    users = {name_of(path) for path in files if imports_from(path, {"redis", "servicekit.redis_client"})}
    assert users <= {"admin_ui/session_store.py", "admin_ui/main.py"}
    assert not lines_matching(re.compile("denylist"), files)


def test_admin_ui_makes_its_calls_in_one_module() -> None:
    callers = [path for path in python_files_of("admin_ui") if imports_from(path, HTTP_CLIENTS)]
    assert {name_of(path) for path in callers} <= {"admin_ui/gateway_client.py"}


def test_only_auth_service_signs_tokens() -> None:
    outside = [
        path for package in PROJECT for path in python_files_of(package) if package not in {"auth_service", "tests"}
    ]
    signers = [name_of(path) for path in outside if signs(path)]
    assert not signers


def signs(path: Path) -> bool:
    """Whether the file calls `jwt.encode` or handles private keys."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and node.attr == "encode" and ast.unparse(node.value) in {"jwt", "PyJWT()"}:
            return True
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "jwt"
            and any(name.name == "encode" for name in node.names)
        ):
            return True
        if isinstance(node, ast.Name | ast.Attribute | ast.alias):
            name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "name", "")
            if name in SIGNING_NAMES:
                return True
    return False


def test_pure_modules_know_no_framework_and_do_no_io() -> None:
    called_pure = {name_of(path) for path in PYTHON_FILES if "Pure" in (ast.get_docstring(parsed(path)) or "")}
    modules = PURE_MODULES | called_pure - {"tests/test_architecture.py"}
    assert not [found for module in modules for found in imports_from(REPOSITORY / module, FRAMEWORKS_AND_IO)]


def test_nobody_imports_a_services_main_module() -> None:
    mains = {f"{service}.main" for service in SERVICES}
    importers = [
        found
        for package in (*SERVICES, "servicekit", "stack")
        for path in python_files_of(package)
        for found in imports_from(path, mains)
    ]
    assert not importers, "a second import of main under another name would build a second application"


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_modules_shadow_no_other_module(service: str) -> None:
    # `cd SERVICE && uvicorn main:app` puts the service's folder first on sys.path.
    entries = {path.relative_to(REPOSITORY / service).parts[0] for path in python_files_of(service)}
    names = {Path(entry).stem for entry in entries} - {"__init__", "__main__"}
    installed = set(packages_distributions())
    assert not names & (set(sys.stdlib_module_names) | installed | set(PROJECT))


def test_no_module_is_named_after_nothing() -> None:
    assert not [name_of(path) for path in PYTHON_FILES if BANNED_MODULE_NAMES & {path.stem, *path.parent.parts[-1:]}]


def test_files_are_short_or_say_why_not() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in PYTHON_FILES}
    assert not {
        name: lines for name, lines in lengths.items() if lines > LONGEST_FILE_LINES and name not in LONGER_FILES
    }
    assert not [name for name in LONGER_FILES if lengths.get(name, 0) <= LONGEST_FILE_LINES], (
        "no exception needed any more"
    )


def test_middleware_is_pure_asgi() -> None:
    assert not [name_of(path) for path in PYTHON_FILES if imports_from(path, {"starlette.middleware.base"})]


def test_tests_replace_nothing_by_patching() -> None:
    assert not [
        found
        for path in python_files_of("tests")
        for found in imports_from(path, {"unittest.mock", "mock", "pytest_mock"})
    ]


def lines_matching(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    here = Path(__file__).resolve()  # names what it looks for
    return [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in files
        if path != here and path.suffix in TEXT_SUFFIXES
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert not lines_matching(MACHINE_PATH, FILES)


def test_nothing_is_left_for_later() -> None:
    assert not lines_matching(UNFINISHED, PYTHON_FILES)


def test_every_ignored_rule_is_explained_where_it_is_ignored() -> None:
    assert not lines_matching(UNEXPLAINED_IGNORE, PYTHON_FILES)


def test_direct_dependencies_are_pinned_exactly_and_locked() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    for requirements, locked in (
        (project["project"]["dependencies"], "requirements.txt"),
        (project["dependency-groups"]["dev"], "requirements-dev.txt"),
    ):
        lock = (REPOSITORY / locked).read_text().lower()
        for requirement in requirements:
            pinned = re.match(r"([\w.-]+)(?:\[.*\])?==([^;\s]+)", requirement)
            assert pinned, f"{requirement} is not pinned"
            assert f"{pinned[1]}==".lower() + pinned[2] in lock.replace("[hiredis]", ""), (
                f"{requirement}: run `make lock`"
            )
