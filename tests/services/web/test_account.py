"""Sign-in and sign-out: keys, tickets, cookies, cross-site requests."""

from __future__ import annotations

import pytest

from services.store.upkeep import AuditFilter
from tests.services.web.conftest import EVIL, PATHS, Reader


@pytest.mark.parametrize("path", [*PATHS, "/jobs/job_x"])
def test_a_stranger_is_led_to_the_login_and_back(stranger: Reader, path: str) -> None:
    answer = stranger.client.get(
        path, headers={"accept": "text/html"}, follow_redirects=False
    )
    assert answer.status_code == 303
    login = stranger.get(answer.headers["location"])
    back = stranger.post("/login", login.form("/login").fill(key=stranger.key))
    assert back.headers["location"] == path


def test_a_live_refresh_without_session_gets_a_bare_401(stranger: Reader) -> None:
    answer = stranger.client.get(
        "/", headers={"hx-request": "true"}, follow_redirects=False
    )
    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize("key", ["", "nonsense", "tt_a_b", EVIL, "tt_" + "x" * 5000])
def test_a_wrong_key_is_told(stranger: Reader, key: str) -> None:
    answer = stranger.post("/login", [("key", key), ("next", "/")])
    assert answer.status_code == 401
    assert "trimtab_session" not in answer.headers.get("set-cookie", "")
    assert "<script>alert" not in answer.text


def test_next_never_leads_away(stranger: Reader) -> None:
    answer = stranger.post("/login", [("key", stranger.key), ("next", "//evil.example/")])
    assert answer.headers["location"] == "/"


def test_a_ticket_works_once(stranger: Reader) -> None:
    made = stranger.client.post(
        "/v1/session-tickets", headers={"authorization": f"Bearer {stranger.key}"}
    ).json()
    first = stranger.client.get(f"/login?ticket={made['ticket']}", follow_redirects=False)
    assert first.status_code == 303
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert stranger.get("/").form("/logout")
    stranger.client.cookies.clear()
    assert (
        stranger.client.get(
            f"/login?ticket={made['ticket']}", follow_redirects=False
        ).status_code
        == 401
    )


@pytest.mark.parametrize(
    "cookie",
    ["x", "a.b.c", "a.9999999999.\u00e9", "..", "." * 4000, "a." + "9" * 5000 + ".x"],
)
def test_a_made_up_cookie_leads_to_the_login(stranger: Reader, cookie: str) -> None:
    headers = {
        "cookie": f"trimtab_session={cookie}".encode("latin-1"),
        "accept": b"text/html",
    }
    answer = stranger.client.get("/", headers=headers, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_signing_out(reader: Reader) -> None:
    assert reader.post("/logout").headers["location"] == "/login"
    assert reader.client.get("/", follow_redirects=False).status_code == 303


def test_sign_ins_and_sign_outs_are_audited(stranger: Reader) -> None:
    wrong = stranger.key[:-43] + "x" * 43
    for key in (wrong, "nonsense", stranger.key):
        stranger.post("/login", [("key", key), ("next", "/")])
    stranger.post("/logout")
    entries = stranger.do(
        stranger.store.list_audit(AuditFilter(action="session"), limit=9)
    )
    key_id = stranger.key.split("_")[1]
    assert [(one.action, one.target, one.key_id) for one in reversed(entries)] == [
        ("session.refused", key_id, ""),
        ("session.refused", "", ""),
        ("session.begin", key_id, key_id),
        ("session.end", key_id, key_id),
    ]
    assert entries[1].detail == {"by": "key"}
    assert entries[-1].detail["reason"] == "the API key is unknown"
    assert all(one.address for one in entries)
    assert "x" * 43 not in str(entries), "no secret in the log"


def test_guesses_of_keys_do_not_fill_the_log(stranger: Reader) -> None:
    for _ in range(30):
        stranger.post("/login", [("key", "nonsense"), ("next", "/")])
    where = AuditFilter(action="session.refused")
    assert len(stranger.do(stranger.store.list_audit(where, limit=99))) == 20
