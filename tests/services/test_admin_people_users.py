"""Users, their sessions and one's own profile in the admin UI, against a gateway that answers as each test says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripted_gateway import (
    OWN_ID,
    Person,
    ScriptedGateway,
    a_page,
    a_session,
    a_user,
    admin_ui_client,
    an_entry,
)

MARA = "0199aaaa-0000-7000-8000-000000000002"
SESSION = "0199bbbb-0000-7000-8000-000000000001"
USER = f"/admin/users/{MARA}"
API = f"/auth/users/{MARA}"


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    found = ScriptedGateway()
    found.says("GET /auth/users/", body=a_page(a_user(OWN_ID, "ada", "admin"), a_user(MARA, "mara")))
    found.says(f"GET {API}", body=a_user(MARA, "mara"))
    found.says(f"GET {API}/sessions", body=a_page(a_session(SESSION)))
    found.says("GET /auth/audit", body=a_page(an_entry("sign_in", actor_id=MARA, actor="mara")))
    found.says("GET /auth/sessions", body=a_page(a_session(SESSION), a_session(SESSION[:-1] + "2", current=True)))
    yield found
    found.close()


@pytest.fixture
def person(gateway: ScriptedGateway, tmp_path: Path, redis_url: str) -> Iterator[Person]:
    with admin_ui_client(gateway, tmp_path, redis_url) as client:
        yield Person(client, gateway)


@pytest.fixture
def admin(person: Person) -> Person:
    person.sign_in("admin")
    return person


@pytest.mark.parametrize("role", ["viewer", "registrar"])
@pytest.mark.parametrize("path", ["/admin/users", "/admin/users/new", USER, f"{USER}/role", f"{USER}/sessions"])
def test_whoever_may_not_manage_users_gets_a_designed_refusal(person: Person, role: str, path: str) -> None:
    person.sign_in(role)
    answer = person.get(path)
    assert answer.status_code == 403
    assert "You can’t do this" in answer.text
    assert "authorization will not help" not in answer.text
    assert "/admin/users" not in person.get("/admin/profile/password").text, "what they may not do is not offered"


def test_a_form_sent_without_the_right_is_refused_by_the_api_too(person: Person, gateway: ScriptedGateway) -> None:
    person.sign_in("viewer")
    gateway.refuses(f"DELETE {API}/sessions/{SESSION}", 403, "Your role lacks the scope users:manage.")
    assert person.post(f"{USER}/sessions/{SESSION}/end").status_code == 403
    assert person.post(f"{USER}/delete").status_code == 403
    assert not gateway.calls(f"DELETE {API}")


def test_the_list_passes_filters_and_order_to_the_api_and_leaves_out_what_cannot_be(
    admin: Person, gateway: ScriptedGateway
) -> None:
    page = admin.get("/admin/users?q=ma&role=viewer&disabled=false&sort=-created_at&x=1")
    assert page.status_code == 200
    assert "mara" in page.text
    admin.get("/admin/users?role=boss&disabled=perhaps&sort=password_hash")
    first, second = (query for query, _ in gateway.calls("GET /auth/users/"))
    assert set(first.split("&")) == {"q=ma", "role=viewer", "disabled=false", "sort=-created_at", "limit=25"}
    assert set(second.split("&")) == {"sort=username", "limit=25"}


def test_a_cursor_of_another_list_begins_again(admin: Person, gateway: ScriptedGateway) -> None:
    gateway.refuses("GET /auth/users/", 422, cursor="is not a cursor of this list")
    answer = admin.client.get("/admin/users?role=viewer&cursor=old&page=3", follow_redirects=False)
    assert answer.headers["location"] == "/admin/users?role=viewer"


def test_a_refused_new_user_keeps_everything_but_the_password(admin: Person, gateway: ScriptedGateway) -> None:
    gateway.refuses("POST /auth/users/", 409, "This username is taken.", username="is taken, in this or another case")
    answer = admin.post("/admin/users/new", username="Mara", role="registrar", password="violet harbour")
    assert answer.status_code == 409
    assert 'value="Mara"' in answer.text
    assert 'value="registrar" checked' in answer.text
    assert "The user name is taken, in this or another case." in answer.text
    assert "violet harbour" not in answer.text


def test_an_objection_to_the_password_stands_at_its_field_and_ends_once(
    admin: Person, gateway: ScriptedGateway
) -> None:
    gateway.refuses("POST /auth/users/", 422, password="The password needs at least 12 characters.")
    text = admin.post("/admin/users/new", username="mara", role="viewer", password="short").text
    assert "The password needs at least 12 characters.</p>" in text


def test_an_empty_form_is_answered_without_asking_the_api(admin: Person, gateway: ScriptedGateway) -> None:
    assert admin.post("/admin/users/new", role="viewer").status_code == 422
    assert admin.post(f"{USER}/password").status_code == 422
    assert not gateway.calls("POST /auth/users/")
    assert not gateway.calls(f"PATCH {API}")


@pytest.mark.parametrize(("status", "words"), [(429, "a little too fast"), (503, "can’t be reached")])
def test_nothing_typed_is_lost_when_the_gateway_has_no_time(
    admin: Person, gateway: ScriptedGateway, status: int, words: str
) -> None:
    gateway.refuses("POST /auth/users/", status, retry_after=7)
    answer = admin.post("/admin/users/new", username="mara", role="viewer", password="violet harbour")
    assert answer.status_code == status
    assert 'value="mara"' in answer.text
    assert words in answer.text
    assert "of-the-gateway" in answer.text, "the request id to quote"
    assert "violet harbour" not in answer.text


def test_a_role_is_changed_and_can_be_taken_back(admin: Person, gateway: ScriptedGateway) -> None:
    gateway.says(f"PATCH {API}", body=a_user(MARA, "mara", "registrar"))
    answer = admin.post(f"{USER}/role", role="registrar")
    assert answer.headers["location"] == USER
    assert gateway.calls(f"PATCH {API}") == [("", {"role": "registrar"})]
    page = admin.get(USER).text
    assert "mara is a registrar now" in page
    assert f'action="{USER}/role"' in page
    assert 'name="role" value="viewer"' in page


def test_the_last_administrator_stays_and_the_page_says_why(admin: Person, gateway: ScriptedGateway) -> None:
    gateway.refuses(f"PATCH {API}", 409, "This is the last enabled administrator; make another one first.")
    gateway.refuses(f"DELETE {API}", 409, "This is the last enabled administrator; make another one first.")
    for answer in (
        admin.post(f"{USER}/access", disabled="true"),
        admin.post(f"{USER}/delete"),
        admin.post(f"{USER}/role", role="registrar"),
    ):
        assert answer.status_code == 409
        assert "This is the last enabled administrator" in answer.text


def test_disabling_and_enabling_say_what_they_do(admin: Person, gateway: ScriptedGateway) -> None:
    gateway.says(f"PATCH {API}", body=a_user(MARA, "mara"))
    admin.post(f"{USER}/access", disabled="true")
    assert "mara is disabled and signed out everywhere." in admin.get(USER).text
    admin.post(f"{USER}/access", disabled="false")
    assert [body for _, body in gateway.calls(f"PATCH {API}")] == [{"disabled": True}, {"disabled": False}]


def test_deleting_asks_on_a_page_of_its_own(admin: Person, gateway: ScriptedGateway) -> None:
    gateway.says(f"DELETE {API}", 204)
    question = admin.get(f"{USER}/delete")
    assert "Delete <bdi>mara</bdi>?" in question.text
    assert not gateway.calls(f"DELETE {API}")
    assert admin.post(f"{USER}/delete").headers["location"] == "/admin/users"
    assert gateway.calls(f"DELETE {API}")


def test_nobody_is_offered_to_delete_or_disable_themselves(admin: Person, gateway: ScriptedGateway) -> None:
    own = f"/auth/users/{OWN_ID}"
    gateway.says(f"GET {own}", body=a_user(OWN_ID, "ada", "admin"))
    gateway.says(f"GET {own}/sessions", body=a_page())
    page = admin.get(f"/admin/users/{OWN_ID}").text
    assert "/delete" not in page
    assert "/access" not in page


def test_one_session_of_a_user_is_ended_or_all(admin: Person, gateway: ScriptedGateway) -> None:
    gateway.says(f"DELETE {API}/sessions/{SESSION}", 204)
    gateway.says(f"POST {API}/revoke-sessions", 204)
    assert f'action="{USER}/sessions/{SESSION}/end"' in admin.get(USER).text
    assert admin.post(f"{USER}/sessions/{SESSION}/end").headers["location"] == USER
    assert admin.post(f"{USER}/sessions/end").headers["location"] == USER
    assert gateway.calls(f"DELETE {API}/sessions/{SESSION}")
    assert gateway.calls(f"POST {API}/revoke-sessions")


def test_a_session_that_is_over_already_is_no_error(admin: Person) -> None:
    assert admin.post(f"/admin/profile/sessions/{SESSION}/end").headers["location"] == "/admin/profile"
    assert "That session was over already." in admin.get("/admin/profile").text


def test_the_profile_marks_the_own_session_and_offers_to_sign_it_out(person: Person) -> None:
    person.sign_in("registrar")
    page = person.get("/admin/profile").text
    assert page.count("This one") == 1
    assert 0 < page.index("This one") < page.index(f'action="/admin/profile/sessions/{SESSION}/end"')
    assert "See student records" in page
    assert "Manage users" not in page


def test_the_own_session_comes_first_though_others_were_used_after_it(person: Person, gateway: ScriptedGateway) -> None:
    person.sign_in("viewer")
    others = [a_session(f"{SESSION[:-2]}a{n}", device=f"Other {n}") for n in range(7)]
    gateway.says("GET /auth/sessions", body=a_page(*others, a_session(SESSION, current=True, device="Mine")))
    page = person.get("/admin/profile").text
    assert page.count("session-words") == 5
    assert page.index("Mine") < page.index("Other 0") < page.index("Other 3")
    assert "All 8 sessions" in page
    everywhere = person.get("/admin/profile/sessions").text
    assert everywhere.index("Mine") < everywhere.index("Other 0") < everywhere.index("Other 6")


def test_a_password_change_tells_each_field_and_never_sends_back_what_was_typed(
    person: Person, gateway: ScriptedGateway
) -> None:
    person.sign_in("viewer")
    path, api = "/admin/profile/password", "PUT /auth/me/password"
    typed = {"current_password": "old words here", "new_password": "new words here", "new_again": "other words"}
    answer = person.post(path, **typed)
    assert answer.status_code == 422
    assert "This is not the same as the new password." in answer.text
    assert not gateway.calls(api)
    typed["new_again"] = typed["new_password"]
    gateway.refuses(api, 422, current_password="is not the current password")
    answer = person.post(path, **typed)
    assert "This is not the current password." in answer.text
    assert not any(words in answer.text for words in typed.values())
    gateway.says(api, 204)
    assert person.post(path, **typed).headers["location"] == "/admin/profile"
    assert gateway.calls(api)[-1][1] == {"current_password": "old words here", "new_password": "new words here"}


@pytest.mark.parametrize(
    "path", ["/admin/users/new", f"{USER}/delete", f"{USER}/access", f"{USER}/sessions/end", "/admin/profile/password"]
)
def test_no_form_works_without_the_sessions_token(admin: Person, gateway: ScriptedGateway, path: str) -> None:
    before = len(gateway.asked)
    admin.csrf = "of-somebody-else"
    assert admin.post(path, username="x", password="y", disabled="true").status_code == 403
    assert len(gateway.asked) == before


def test_names_of_users_are_text_and_never_markup(admin: Person, gateway: ScriptedGateway) -> None:
    evil = "<script>alert(1)</script>"
    gateway.says(f"GET {API}", body=a_user(MARA, evil))
    gateway.says(
        f"GET {API}/sessions", body=a_page(a_session(SESSION, device=evil, user_agent=f'"{evil}', address=evil))
    )
    gateway.says("GET /auth/audit", body=a_page(an_entry(evil, actor=evil, subject=evil, details={"reason": evil})))
    gateway.says("GET /auth/users/", body=a_page(a_user(MARA, evil)))
    for path in (USER, f"{USER}/sessions", f"{USER}/delete", "/admin/users", "/admin/audit"):
        assert evil not in admin.get(path).text, path
