"""A leaf that misses its post-condition is repaired twice through the service, then reported."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from search.domains.plan.outline import tree
from search.domains.plan.outline.templates import Library, library
from services.gateway.app import create_app
from services.settings import Settings
from tests.cases.service.fields import FILES
from tests.doubles.memory_store import MemoryStore

STATES_OF_WORK = ("QUEUED", "RUNNING", "WAITING")


def never_met() -> Library:
    """The templates with a post-condition that no result meets."""
    own = library()
    rows = (replace(row, post=("result.objective < 0",)) for row in own.templates)
    return replace(own, templates=tuple(rows))


def test_two_repairs_and_then_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "library", never_met)
    plan, outline, jobs, result = asyncio.run(_whole(tmp_path))
    assert plan["state"] == "SUCCEEDED", plan["termination"]
    assert list(outline["leaves"]) == ["l1", "l1.r1", "l1.r2"]
    assert [leaf["origin"]["source"] for leaf in outline["leaves"].values()] == [
        "template",
        "repair",
        "repair",
    ]
    seen = {job["labels"]["leaf"]: job for job in jobs if job["kind"] == "sharding"}
    assert sorted(seen) == ["l1", "l1.r1", "l1.r2"]
    assert [seen[n]["budget"]["seconds"] for n in sorted(seen)] == [60.0, 180.0, 180.0]
    assert "kicks" in outline["leaves"]["l1.r2"]["spec"]
    assert all(job["state"] == "SUCCEEDED" for job in jobs)
    assert list(result["summary"]["repairs"]) == ["l1.r1", "l1.r2"]
    assert result["summary"]["won"] == {"template": 1}
    assert result["verification"]["status"] == "valid"
    assert {"report.md", "outline.json"} <= set(result["artifacts"])


async def _whole(folder: Path) -> tuple[Any, Any, Any, Any]:
    settings = Settings(
        data_dir=folder, workers=1, executor="inline", auth="off", log_level="error"
    )
    app = create_app(settings, store=MemoryStore())
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", timeout=60.0
        ) as client:
            stored = await client.post(
                "/v1/artifacts?name=t.csv",
                content=FILES["tables.csv"],
                headers={"content-type": "application/octet-stream"},
            )
            files = {"t.csv": {"digest": stored.json()["digest"]}}
            spec = {"goal": "Place t.csv on 2 A100 with 40 GiB each", "files": files}
            body = {"kind": "plan", "spec": spec}
            path = f"/v1/jobs/{(await client.post('/v1/jobs', json=body)).json()['id']}"
            plan = await _until(client, path, STATES_OF_WORK)
            assert plan["state"] == "AWAITING_APPROVAL", plan
            seen = (await client.get(f"{path}/outline")).json()
            approval = {"revision": seen["revision"], "digest": seen["digest"]}
            answer = await client.post(f"{path}/outline/approve", json=approval)
            assert answer.status_code == 202, answer.text
            plan = await _until(client, path, STATES_OF_WORK)
            outline = (await client.get(f"{path}/outline")).json()["outline"]
            listed = await client.get(f"/v1/jobs?graph={plan['id']}")
            result = (await client.get(f"{path}/result")).json()
            return plan, outline, listed.json()["items"], result


async def _until(client: httpx2.AsyncClient, path: str, busy: tuple[str, ...]) -> Any:
    for _ in range(1200):
        view = (await client.get(path)).json()
        if view["state"] not in busy:
            break
        await asyncio.sleep(0.1)
    return view
