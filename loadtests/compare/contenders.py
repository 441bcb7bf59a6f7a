"""Who is compared, how each is started, and what each does and doesn't do."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtests.compare.bed import REPOSITORY, Bed, render
from loadtests.compare.foreign_token import make_foreign_token
from loadtests.compare.installing import find_program, install_envoy, install_fastify, version_of
from loadtests.compare.processes import GATEWAY_CORE, Child, free_port
from loadtests.compare.sessions import Sessions

OURS, INTERPRETED, POLLING, DIRECT, OBVIOUS, ENVOY, HAPROXY, NGINX, FASTIFY = (
    "ours",
    "interpreted",
    "polling",
    "direct",
    "obvious",
    "envoy",
    "haproxy",
    "nginx",
    "fastify",
)

BUSY_POLL_MICROSECONDS = 300


@dataclass(frozen=True)
class Running:
    """A contender that answers."""

    port: int
    token: str | None
    version: str
    child: Child | None = None


@dataclass(frozen=True)
class Contender:
    """A way from the client to the upstream."""

    name: str
    title: str
    does: str
    start: Callable[[Bed, Sessions], Running]


def start_ours(
    bed: Bed, sessions: Sessions, *, cores: str = GATEWAY_CORE, settings: Mapping[str, str] | None = None
) -> Running:
    """The gateway as ``python -m gateway`` serves it once it is compiled, its log going to a file."""
    port = free_port()
    child = bed.children.start(
        "ours",
        [bed.interpreter.program, "-m", "gateway"],
        cores=cores,
        port=port,
        environment={**bed.settings(port), "COMPILED": "required", **(settings or {})},
        directory=REPOSITORY,
    )
    return Running(port, sessions.get(1)[0], bed.interpreter.description, child)


def start_interpreted(bed: Bed, sessions: Sessions) -> Running:
    """The same without extension modules, as it is where there is no C compiler."""
    return start_ours(bed, sessions, settings={"COMPILED": "off"})


def start_polling(bed: Bed, sessions: Sessions) -> Running:
    """The same with ``BUSY_POLL_MICROSECONDS``: its core is its own here."""
    return start_ours(bed, sessions, settings={"BUSY_POLL_MICROSECONDS": str(BUSY_POLL_MICROSECONDS)})


def start_direct(bed: Bed, _: Sessions) -> Running:
    """No gateway at all."""
    return Running(bed.upstream_port, None, version_of(find_program("nginx"), "-v").removeprefix("nginx version: "))


def start_obvious(bed: Bed, sessions: Sessions) -> Running:
    """FastAPI, an HTTP client, slowapi, redis-py."""
    port = free_port()
    child = bed.children.start(
        "obvious",
        [
            *(bed.interpreter.program, "-m", "uvicorn", "loadtests.compare.obvious:app"),
            *("--port", str(port), "--no-access-log"),
        ],
        cores=GATEWAY_CORE,
        port=port,
        environment={
            "UPSTREAM": f"http://127.0.0.1:{bed.upstream_port}",
            "REDIS_URL": bed.redis_url,
            "JWKS_URL": f"http://127.0.0.1:{bed.auth_port}/.well-known/jwks.json",
        },
        directory=REPOSITORY,
    )
    return Running(port, sessions.get(1)[0], bed.interpreter.description, child)


def start_nginx(bed: Bed, _: Sessions) -> Running:
    """A plain proxy."""
    port = free_port()
    config = render("nginx.conf", bed.work / "nginx.conf", folder=bed.work, port=port, upstream_port=bed.upstream_port)
    nginx = find_program("nginx")
    command = [nginx, "-e", bed.work / "nginx-error.log", "-c", config]
    child = bed.children.start("nginx", command, cores=GATEWAY_CORE, port=port)
    return Running(port, None, version_of(nginx, "-v").removeprefix("nginx version: "), child)


def start_envoy(bed: Bed, sessions: Sessions) -> Running:
    """Envoy with one worker thread."""
    program = install_envoy(bed.work)
    jwks = bed.work / "jwks.json"
    jwks.write_text(json.dumps(sessions.public_keys()))
    port = free_port()
    config = render(
        "envoy.yaml",
        bed.work / "envoy.yaml",
        port=port,
        admin_port=free_port(),
        upstream_port=bed.upstream_port,
        jwks=jwks,
        access_log=bed.work / "envoy-access.log",
    )
    command = [program, "-c", config, "--concurrency", "1", "--log-level", "warning", "--disable-hot-restart"]
    child = bed.children.start("envoy", command, cores=GATEWAY_CORE, port=port)
    return Running(port, sessions.get(1)[0], version_of(program, "--version").split("version: ")[-1], child)


def start_haproxy(bed: Bed, _: Sessions) -> Running:
    """HAProxy with one thread."""
    program = find_program("haproxy")
    token, public_key = make_foreign_token(bed.work)
    denylist = bed.work / "denylist.map"
    denylist.write_text("0198c3a2-7d4e-7c31-9f00-00000000dead revoked\n")
    port = free_port()
    config = render(
        "haproxy.cfg",
        bed.work / "haproxy.cfg",
        port=port,
        upstream_port=bed.upstream_port,
        public_key=public_key,
        denylist=denylist,
    )
    child = bed.children.start("haproxy", [program, "-f", config, "-db"], cores=GATEWAY_CORE, port=port)
    return Running(port, token, " ".join(version_of(program, "-v").split()[:3]), child)


def start_fastify(bed: Bed, sessions: Sessions) -> Running:
    """Fastify with its plugins, one process."""
    project = install_fastify(bed.work)
    script = project / "gateway.mjs"
    script.write_text((Path(__file__).parent / "servers" / "fastify.mjs").read_text())
    public_key = bed.work / "ed25519.pub.pem"
    public_key.write_text(_as_pem(sessions.public_keys()["keys"][0]["x"]))
    port = free_port()
    child = bed.children.start(
        "fastify",
        ["node", script],
        cores=GATEWAY_CORE,
        port=port,
        environment={
            "PORT": str(port),
            "UPSTREAM": f"http://127.0.0.1:{bed.upstream_port}",
            "REDIS_SOCKET": str(bed.valkey_socket),
            "PUBLIC_KEY": str(public_key),
            "NODE_ENV": "production",
        },
        directory=project,
    )
    version = json.loads((project / "node_modules" / "fastify" / "package.json").read_text())["version"]
    return Running(port, sessions.get(1)[0], f"Fastify {version}, Node {version_of('node', '--version')}", child)


def _as_pem(x: str) -> str:
    """An Ed25519 public key as PEM (RFC 8410 §4): a fixed prefix, then the 32 octets of the JWK's ``x``."""
    key = bytes.fromhex("302a300506032b6570032100") + base64.urlsafe_b64decode(x + "=")
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(key).decode()}\n-----END PUBLIC KEY-----\n"


CONTENDERS = (
    Contender(
        OURS,
        "Matricula's gateway",
        "The whole job: strict HTTP edge, EdDSA token (verdict remembered), denylist and sliding-window limit in "
        "Valkey on every request, scopes, forwarded headers, JSON log line, metrics, RateLimit headers. Compiled "
        "(`make compile`), as in the image.",
        start_ours,
    ),
    Contender(
        INTERPRETED,
        "the same, interpreted",
        "As above, without extension modules (`COMPILED=off`).",
        start_interpreted,
    ),
    Contender(
        POLLING,
        "the same, busy polling",
        f"As ours, awake for {BUSY_POLL_MICROSECONDS} µs wherever it waits (`BUSY_POLL_MICROSECONDS`).",
        start_polling,
    ),
    Contender(DIRECT, "straight to the upstream", "No gateway: the static upstream itself, nginx.", start_direct),
    Contender(
        NGINX,
        "nginx",
        "A plain proxy: no token, no denylist, no limit, no log, no metrics.",
        start_nginx,
    ),
    Contender(
        ENVOY,
        "Envoy",
        "jwt_authn with the same EdDSA tokens (verdicts cached), local token bucket with headers, JSON log, "
        "statistics; no denylist, nothing shared with other replicas.",
        start_envoy,
    ),
    Contender(
        HAPROXY,
        "HAProxy",
        "Token verified on each request (RS256: it knows no EdDSA), denylist from a map file, stick table, JSON log; "
        "nothing shared with other replicas, no RateLimit headers.",
        start_haproxy,
    ),
    Contender(
        FASTIFY,
        "Fastify",
        "@fastify/jwt with the same tokens (verdicts cached), denylist and fixed-window limit in Valkey, "
        "@fastify/http-proxy, JSON log; no metrics.",
        start_fastify,
    ),
    Contender(
        OBVIOUS,
        "the obvious gateway",
        "FastAPI route, httpx2, PyJWT on each request, denylist with redis-py, slowapi in Valkey, JSON log; no metrics "
        "(loadtests/compare/obvious.py).",
        start_obvious,
    ),
)
