"""MathOpt's route while its job waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fastapi.testclient import TestClient

from tests.services.gateway.mathopt.test_request import BODY
from tests.waiting import sooner_than


def test_a_revoked_key_ends_the_wait(
    anonymous: TestClient, admin: dict[str, str], key: Callable[..., dict[str, str]]
) -> None:
    mine = key("acme")
    key_id = anonymous.get("/v1/me", headers=mine).json()["key_id"]
    timer = threading.Timer(
        0.3, lambda: anonymous.delete(f"/v1/keys/{key_id}", headers=admin)
    )
    timer.start()
    with sooner_than(60):
        answer = anonymous.post(
            "/v1/mathopt:solveMathOptModel",
            json=BODY,
            headers=mine | {"x-server-timeout": "60"},
        )
    timer.join()
    assert answer.status_code == 401, answer.text
    assert "revoked" in answer.text
    (job,) = anonymous.get("/v1/jobs", headers=admin).json()["items"]
    assert job["state"] == "QUEUED"
