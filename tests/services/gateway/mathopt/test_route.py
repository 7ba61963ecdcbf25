"""MathOpt's route while its job waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from fastapi.testclient import TestClient

from tests.services.gateway.mathopt.test_request import BODY


def test_a_revoked_key_ends_the_wait(
    anonymous: TestClient, admin: dict[str, str], key: Callable[..., dict[str, str]]
) -> None:
    mine = key("acme")
    key_id = anonymous.get("/v1/me", headers=mine).json()["key_id"]
    timer = threading.Timer(
        0.3, lambda: anonymous.delete(f"/v1/keys/{key_id}", headers=admin)
    )
    timer.start()
    began = time.monotonic()
    answer = anonymous.post(
        "/v1/mathopt:solveMathOptModel",
        json=BODY,
        headers=mine | {"x-server-timeout": "60"},
    )
    timer.join()
    assert time.monotonic() - began < 30
    assert answer.status_code == 401, answer.text
    assert "revoked" in answer.text
    (job,) = anonymous.get("/v1/jobs", headers=admin).json()["items"]
    assert job["state"] == "QUEUED"
