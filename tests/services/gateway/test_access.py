"""Access to the API: keys, scopes, tenants, rate limits, cross-site requests."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from services.settings import Settings
from tests.services.gateway.conftest import JOB

Key = Callable[..., dict[str, str]]
PUBLIC = {"/healthz", "/readyz"}
SCOPES = ("viewer", "submitter", "operator", "admin")


def lowest_scope(method: str, path: str) -> str:
    """The rule for every operation: admins manage keys, operators what is kept, viewers read."""
    if path.endswith("/rotate"):  # also the caller's own key
        return "viewer"
    if path.startswith("/v1/keys") or path == "/v1/audit":
        return "admin"
    # A ticket signs in the caller; a preview removes nothing.
    reads = method == "GET" or path in ("/v1/session-tickets", "/v1/retention/preview")
    if path.startswith("/v1/retention") and not reads:
        return "operator"
    return "viewer" if reads else "submitter"


def test_every_operation_asks_for_a_key_and_for_the_right_scope(
    anonymous: TestClient, key: Key
) -> None:
    keys = {scope: key("acme", scope) for scope in SCOPES}
    paths = anonymous.get("/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            where = path.replace("{digest}", "sha256:" + "0" * 64)
            for name in ("job_id", "name", "kind", "key_id"):
                where = where.replace(f"{{{name}}}", "none")
            if path in PUBLIC:
                assert anonymous.request(method, where).status_code == 200
                continue
            lowest = SCOPES.index(lowest_scope(method.upper(), path))
            assert anonymous.request(method, where).status_code == 401, (method, path)
            for rank, scope in enumerate(SCOPES):
                status = anonymous.request(method, where, headers=keys[scope]).status_code
                assert (status == 403) == (rank < lowest), (method, path, scope, status)


def test_another_tenants_job_is_nowhere(anonymous: TestClient, key: Key) -> None:
    mine, theirs = key("acme"), key("other")
    job = anonymous.post("/v1/jobs", json=JOB, headers=mine).json()["id"]
    file = anonymous.post("/v1/artifacts?name=a.lp", content=b"x", headers=mine).json()[
        "digest"
    ]
    gets = [
        f"/v1/jobs/{job}{tail}"
        for tail in (
            "",
            "/wait",
            "/events",
            "/result",
            "/input",
            "/attempts",
            "/log",
            "/artifacts/a",
            "/pictures/0",
        )
    ]
    calls = [
        ("GET", path)
        for path in [*gets, f"/v1/artifacts/{file}", f"/v1/artifacts/{file}/content"]
    ]
    calls += [
        ("POST", f"/v1/jobs/{job}/{verb}") for verb in ("cancel", "stop", "retry")
    ] + [("DELETE", f"/v1/jobs/{job}")]
    for method, path in calls:
        assert anonymous.request(method, path, headers=theirs).status_code == 404, path
    assert anonymous.get("/v1/jobs", headers=theirs).json()["items"] == []
    stolen = {"kind": "ilp", "spec": {"model": {"digest": file}}}
    assert anonymous.post("/v1/jobs", json=stolen, headers=theirs).status_code == 422
    assert anonymous.post("/v1/jobs", json=stolen, headers=mine).status_code < 300


def test_a_revoked_key_is_refused_at_once(
    anonymous: TestClient, admin: dict[str, str], key: Key
) -> None:
    mine = key()
    me = anonymous.get("/v1/me", headers=mine).json()
    assert anonymous.delete(f"/v1/keys/{me['key_id']}", headers=admin).status_code == 204
    assert anonymous.get("/v1/me", headers=mine).status_code == 401


def test_rate_limit_and_queue_quota(anonymous: TestClient, key: Key) -> None:
    slow = key("slow", limits={"submits_per_minute": 2})
    statuses = [anonymous.post("/v1/jobs", json=JOB, headers=slow) for _ in range(3)]
    assert [answer.status_code // 100 for answer in statuses] == [2, 2, 4]
    assert statuses[2].status_code == 429
    assert int(statuses[2].headers["retry-after"]) >= 1
    full = key("full", limits={"queued_jobs": 1})
    assert [
        anonymous.post("/v1/jobs", json=JOB, headers=full).status_code // 100
        for _ in range(2)
    ] == [2, 4]


def test_the_admin_key_is_only_ours(settings: Settings, admin: dict[str, str]) -> None:
    assert stat.S_IMODE(settings.admin_key_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("cookie", ["a.1.b", "a.x.\xe9", "...", "\xff"])
def test_forged_cookies_are_401(anonymous: TestClient, cookie: str) -> None:
    answer = anonymous.get(
        "/v1/me", headers={"cookie": b"trimtab_session=" + cookie.encode("latin-1")}
    )
    assert answer.status_code == 401, answer.text


def test_a_name_that_is_not_ours_in_host_is_refused(anonymous: TestClient) -> None:
    assert anonymous.get("/healthz", headers={"host": "evil.example"}).status_code == 400


def test_another_sites_page_cannot_write_even_without_auth(settings: Settings) -> None:
    from services.gateway.app import create_app
    from tests.doubles.memory_store import MemoryStore

    app = create_app(settings.model_copy(update={"auth": "off"}), store=MemoryStore())
    with TestClient(app, base_url="http://127.0.0.1") as client:
        headers = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
        assert (
            client.post(
                "/v1/artifacts?name=a.lp", content=b"x", headers=headers
            ).status_code
            == 403
        )


def test_no_solver_no_ray_no_torch_in_this_process() -> None:
    code = (
        "import sys, tempfile, pathlib\n"
        "from services.gateway.app import create_app\nfrom services.settings import Settings\n"
        "create_app(Settings(data_dir=pathlib.Path(tempfile.mkdtemp())))\n"
        "heavy = ('torch','ray','numpy','scipy','highspy','pyscipopt','ortools')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert shown.stdout.strip() == "[]"
