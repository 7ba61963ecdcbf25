"""Damaged model files: each is refused or ends with a reason, and no server process dies."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from tests.solvers.fuzz import mutate
from tests.solvers.test_read_fuzz import sources
from workers.bench.service.harness import running_server, survivors

pytestmark = pytest.mark.chaos
FULL = 1000
BUDGET_S = 2.0
TERMINAL = {"SUCCEEDED", "FAILED", "CANCELLED", "DEAD"}


def test_every_mutant_gets_an_answer(tmp_path: Path, scale: float) -> None:
    count = max(16, round(FULL * scale))
    files = sources()
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    with running_server(tmp_path / "data", workers="2") as server:
        main = server.process.pid
        headers = {"authorization": f"Bearer {server.key}"}
        with httpx2.Client(base_url=server.url, headers=headers, timeout=60) as client:
            jobs: dict[str, str] = {}
            for number in range(count):
                rng = random.Random(number)
                name, content = rng.choice(files)
                kind, mutant = mutate(content, rng)
                shown = (
                    f"{number}-{name}{'.gz' if mutant[:2] == bytes((31, 139)) else ''}"
                )
                uploaded = client.post(
                    "/v1/artifacts", params={"name": shown}, content=mutant
                )
                if uploaded.status_code >= 400:
                    seen[f"upload refused: {uploaded.status_code}"] += 1
                    if uploaded.status_code >= 500 or not uploaded.json()["detail"]:
                        wrong.append(f"{shown} ({kind}): {uploaded.text[:300]}")
                    continue
                body = {
                    "kind": "ilp",
                    "spec": {"model": uploaded.json()},
                    "budget": {"seconds": BUDGET_S},
                    "max_attempts": 1,
                }
                submitted = client.post("/v1/jobs", json=body)
                if submitted.status_code >= 400:
                    seen[f"submit refused: {submitted.status_code}"] += 1
                    if submitted.status_code >= 500 or not submitted.json()["detail"]:
                        wrong.append(f"{shown} ({kind}): {submitted.text[:300]}")
                    continue
                jobs[submitted.json()["id"]] = f"{shown} ({kind})"
            until = time.monotonic() + 60 + 20 * count
            for job_id, shown in jobs.items():
                while True:
                    view = client.get(
                        f"/v1/jobs/{job_id}/wait", params={"timeout_s": 30}
                    ).json()
                    if view["state"] in TERMINAL:
                        break
                    assert time.monotonic() < until, f"{shown} has not ended: {view}"
                reason = (view["termination"] or {}).get("reason")
                seen[f"{view['state']} {reason}"] += 1
                answer_text = (view["termination"] or {}).get("detail")
                if (
                    not reason
                    or not answer_text
                    or reason == "internal_error"
                    or view["state"] == "DEAD"
                ):
                    wrong.append(f"{shown}: {view['state']} {view['termination']}")
            assert client.get("/healthz").status_code == 200
        assert server.process.pid == main, "the server is the one that was started"
        children = server.descendants()
    print(json.dumps(dict(seen)))
    assert not wrong, "\n".join(wrong[:20])
    assert sum(seen.values()) == count
    assert survivors(children) == []
