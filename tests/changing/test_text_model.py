"""A throw-away kind that needs a language model: its run asks the hosted one from its sandbox."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from search.kinds import Kind
from search.text_model import ModelUnavailable
from services.gateway.app import create_app
from services.settings import Settings
from tests.changing.test_kind import RootSpec
from tests.doubles.memory_store import MemoryStore
from workers.process.text_host import TextHost, TextOptions

KIND = Kind(
    spec=RootSpec, builder="tests.doubles.asking_domain:build", needs=("text_model",)
)


def run_jobs(folder: Path, squares: list[int], *, hosted: bool = True) -> list[Any]:
    """Run one job for each square; returns their views."""
    settings = Settings(
        data_dir=folder,
        workers=1,
        sandbox="rlimit",
        auth="off",
        log_level="error",
        job_memory_bytes=2**30,
    )
    options = TextOptions(
        model="embedded",
        sandbox="rlimit",
        cache_dir=folder / "cache",
        opener="tests.doubles.text_model:open_double",
    )
    host = TextHost(options, scratch_dir=folder / "text") if hosted else None

    async def go() -> list[Any]:
        app = create_app(settings, store=MemoryStore(), kinds={"root": KIND}, text=host)
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                views = []
                for square in squares:
                    body = {
                        "kind": "root",
                        "spec": {"square": square},
                        "max_attempts": 2,
                    }
                    job = (await client.post("/v1/jobs", json=body)).json()
                    path = f"/v1/jobs/{job['id']}/wait?timeout_s=30"
                    views.append((await client.get(path)).json())
                workers = (await client.get("/v1/workers")).json()
                return [*views, workers]

    return asyncio.run(go())


def test_a_run_asks_the_hosted_model(tmp_path: Path) -> None:
    job, workers = run_jobs(tmp_path, [99])
    assert job["state"] == "SUCCEEDED", job["termination"]
    assert job["best"]["objective"] == 1.0
    assert workers["text_model"]["state"] == "ready"
    assert workers["text_model"]["active"] == 0


def test_a_crash_of_the_model_loses_no_job(tmp_path: Path) -> None:
    """The job is tried again, and fails for good only when every attempt lost the model."""
    crashed, refused, good, workers = run_jobs(tmp_path, [15, 16, 17])
    assert crashed["state"] == "DEAD", crashed
    assert crashed["attempt"] == 2
    assert "the model's process ended by SIGKILL" in crashed["termination"]["detail"]
    assert refused["state"] == "FAILED"
    assert refused["termination"]["reason"] == "invalid_input"
    assert good["state"] == "SUCCEEDED"
    assert workers["text_model"]["starts"] == 3


def test_a_server_without_a_model_says_so(tmp_path: Path) -> None:
    job, _ = run_jobs(tmp_path, [99], hosted=False)
    assert job["state"] == "DEAD"
    assert "TRIMTAB_TEXT_MODEL" in job["termination"]["detail"]


def test_a_process_without_an_executor_has_no_model() -> None:
    from workers.llm import client

    if client._connected is None:
        model = client.connected()
        assert not model.capabilities.generates
        with pytest.raises(ModelUnavailable, match="got 'none'"):
            model.tokenize("a")
