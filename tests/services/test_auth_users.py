"""Managing users: what is said of values that can't be accepted."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.auth_world import PASSWORD, AuthWorld, build_world


@pytest.fixture
def auth(make_client: Any, tmp_path: Path, redis_url: str) -> AuthWorld:
    return build_world(make_client, tmp_path, redis_url)


@pytest.mark.parametrize("username", ["-mara", "mara.", "mara okafor", "mära", ""])
def test_a_username_that_cannot_be_is_refused_in_words(auth: AuthWorld, username: str) -> None:
    body = {"username": username, "password": PASSWORD, "role": "viewer"}
    answer = auth.call("POST", "/auth/users/", auth.sign_in(), json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "username"
    assert error["message"].startswith("must be 1 to 64 of the letters a-z, digits")


def test_the_document_says_what_a_username_may_be(auth: AuthWorld) -> None:
    schema = auth.client.get("/openapi.json").json()["components"]["schemas"]["UserCreate"]["properties"]["username"]
    assert schema["pattern"].startswith("^[A-Za-z0-9]")
    assert schema["maxLength"] == 64
