"""Going straight to a route answers just as FastAPI's own search does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Form, Header, HTTPException, Request
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from servicekit.direct_routes import DirectRoutes

REQUESTS = [
    ("GET", "/"),
    ("GET", "/things"),
    ("POST", "/things"),
    ("GET", "/things/"),
    ("GET", "/things/special"),
    ("GET", "/things/7"),
    ("GET", "/things/seven"),
    ("PUT", "/things/7"),
    ("DELETE", "/things/7"),
    ("HEAD", "/things/7"),
    ("OPTIONS", "/things"),
    ("GET", "/things/7/"),
    ("GET", "/things/7/parts/wheel"),
    ("GET", "/things/7/parts/a%2Fb"),
    ("GET", "/things/%0A"),
    ("GET", "/outer/inner/name"),
    ("GET", "/outer/guarded"),
    ("GET", "/twice/inner/name"),
    ("GET", "/files/a/b/c"),
    ("GET", "/mounted/x/y"),
    ("GET", "/mounted/late"),
    ("GET", "/fixed"),
    ("POST", "/fixed"),
    ("GET", "/openapi.json"),
    ("GET", "/nothing"),
    ("GET", "/things//7"),
]


async def refuse(x_key: Annotated[str, Header()] = "") -> None:
    if x_key != "open":
        raise HTTPException(403, "closed")


def things() -> APIRouter:
    router = APIRouter(prefix="/things")

    @router.get("")
    async def list_things(request: Request) -> dict[str, str]:
        return {"route": request.scope["route"].path, "url": str(request.url_for("one_thing", number=3))}

    @router.post("", status_code=201)
    async def add_thing() -> str:
        return "added"

    @router.get("/special")
    async def special() -> str:
        return "special"

    @router.get("/{number}")
    async def one_thing(number: int, request: Request) -> dict[str, object]:
        return {"number": number, "found": request.path_params, "endpoint": request.scope["endpoint"].__name__}

    @router.put("/{number}")
    async def change_thing(number: int) -> int:
        return number

    @router.get("/{number}/parts/{part}")
    async def part(number: int, part: str) -> list[object]:
        return [number, part]

    return router


def outer() -> APIRouter:
    inner = APIRouter(prefix="/inner")

    @inner.get("/{name}")
    async def named(name: str, request: Request) -> list[str]:
        return [name, request.scope["route"].path]

    router = APIRouter()
    router.include_router(inner)

    @router.get("/guarded")
    async def guarded() -> str:
        return "in"

    return router


def forms() -> APIRouter:
    router = APIRouter(prefix="/forms", form_limits={"max_fields": 2})

    @router.post("")
    async def take(a: Annotated[str, Form()]) -> str:
        return a

    return router


async def fixed(_: Request) -> PlainTextResponse:
    return PlainTextResponse("fixed")


def build() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def root() -> str:
        return "root"

    app.include_router(things())
    app.include_router(outer(), prefix="/outer", dependencies=[Depends(refuse)])
    app.include_router(outer(), prefix="/twice")
    app.router.routes.append(Route("/fixed", fixed, methods=["GET"]))

    @app.get("/files/{path:path}")
    async def file(path: str) -> str:
        return path

    mounted = FastAPI()

    @mounted.get("/{a}/{b}")
    async def below(a: str, b: str) -> list[str]:
        return [a, b]

    app.router.routes.append(Mount("/mounted", mounted))

    @app.get("/mounted/late")
    async def shadowed() -> str:
        return "never: the mount comes first"

    return app


def direct(app: FastAPI) -> FastAPI:
    app.router.middleware_stack = DirectRoutes(app.router)
    return app


def seen(client: TestClient, method: str, path: str, key: str) -> tuple[int, dict[str, str], bytes]:
    answer = client.request(method, path, headers={"X-Key": key}, follow_redirects=False)
    return answer.status_code, dict(answer.headers), answer.content


@pytest.mark.parametrize("key", ["open", "wrong"])
def test_every_request_is_answered_as_by_fastapis_own_search(key: str) -> None:
    plain, quick = TestClient(build()), TestClient(direct(build()))
    statuses = set()
    for method, path in REQUESTS:
        found = seen(quick, method, path, key)
        assert found == seen(plain, method, path, key), (method, path)
        statuses.add(found[0])
    assert statuses == {200, 201, 307, 404, 405, 422} | ({403} if key == "wrong" else set())


@pytest.mark.parametrize("wrap", [lambda app: app, direct], ids=["fastapi", "direct"])
def test_a_route_added_after_the_first_request_is_found(wrap: Callable[[FastAPI], FastAPI]) -> None:
    app = wrap(build())
    client = TestClient(app)
    assert client.get("/late").status_code == 404

    @app.get("/late")
    async def late() -> str:
        return "late"

    assert client.get("/late").json() == "late"


@pytest.mark.parametrize("wrap", [lambda app: app, direct], ids=["fastapi", "direct"])
def test_a_fixed_path_before_a_pattern_that_matches_it_comes_first(wrap: Callable[[FastAPI], FastAPI]) -> None:
    app = wrap(FastAPI())
    app.router.routes.append(Route("/things/fixed", fixed))
    app.include_router(things())
    client = TestClient(app)
    assert client.get("/things/fixed").text == "fixed"
    assert client.get("/things/7").json()["number"] == 7


@pytest.mark.parametrize("wrap", [lambda app: app, direct], ids=["fastapi", "direct"])
def test_the_limits_of_a_router_on_forms_hold(wrap: Callable[[FastAPI], FastAPI]) -> None:
    app = wrap(FastAPI())
    app.include_router(forms())
    client = TestClient(app)
    assert client.post("/forms", data={"a": "1", "b": "2"}).json() == "1"
    assert client.post("/forms", data={"a": "1", "b": "2", "c": "3"}).status_code == 400
