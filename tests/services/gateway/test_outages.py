"""Outages of database and disk: clients get a remedy, nothing is half done, service recovers."""

from __future__ import annotations

import resource
import sqlite3
import time
from pathlib import Path

from fastapi.testclient import TestClient
from pydantic import SecretStr

from services.gateway.app import create_app
from services.settings import Settings
from tests.postgres import PostgresServer, postgres_server
from tests.services.gateway.conftest import JOB
from tests.services.gateway.process import served

__all__ = ["postgres_server"]


def test_a_database_that_went_away_is_503_until_it_is_back(
    settings: Settings, postgres_server: PostgresServer
) -> None:
    url = SecretStr(postgres_server.fresh_database())
    app = create_app(settings.model_copy(update={"database_url": url}))
    with TestClient(
        app, base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        headers = {
            "authorization": f"Bearer {settings.admin_key_file.read_text().strip()}"
        }
        job = client.post("/v1/jobs", json=JOB, headers=headers).json()["id"]
        postgres_server.stop("immediate")
        try:
            calls = [
                ("POST", "/v1/jobs"),
                ("POST", "/v1/jobs:batch"),
                ("GET", "/v1/jobs"),
                ("GET", f"/v1/jobs/{job}"),
                ("GET", f"/v1/jobs/{job}/wait"),
                ("POST", f"/v1/jobs/{job}/cancel"),
                ("DELETE", f"/v1/jobs/{job}"),
                ("GET", "/v1/keys"),
                ("GET", "/metrics"),
            ]
            for method, path in calls:
                body = (
                    {"jobs": [JOB]}
                    if path.endswith("batch")
                    else JOB
                    if path == "/v1/jobs"
                    else None
                )
                answer = client.request(
                    method, path, headers=headers, json=body if method == "POST" else None
                )
                assert (answer.status_code, answer.headers["content-type"]) == (
                    503,
                    "application/problem+json",
                ), path
                assert int(answer.headers["retry-after"]) >= 1
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
        finally:
            postgres_server.start()
        deadline = time.monotonic() + 90
        while (
            answer := client.get(f"/v1/jobs/{job}", headers=headers)
        ).status_code == 503:
            assert time.monotonic() < deadline
        assert answer.json()["state"] == "QUEUED"
        assert client.get("/readyz").status_code == 200


def test_a_full_disk_is_507_and_passes(tmp_path: Path) -> None:
    with served(tmp_path / "data", "--role", "gateway") as running:
        api = running.api
        before = api.post("/v1/jobs", json=JOB).json()["id"]
        # A file size limit acts like a full disk. The hard limit stays unchanged.
        size = (running.data_dir / "trimtab.sqlite3-wal").stat().st_size
        _, hard = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, hard))
        upload = api.post("/v1/artifacts?name=a.lp", content=bytes(size + 1))
        assert upload.status_code == 507, upload.text
        submits = [api.post("/v1/jobs", json=JOB).status_code for _ in range(5)]
        assert set(submits) == {507}
        assert [
            path for path in (running.data_dir / "blobs").rglob("*") if path.is_file()
        ] == []
        assert api.get(f"/v1/jobs/{before}").status_code == 200  # reading still works
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        after = api.post("/v1/jobs", json=JOB).json()["id"]
        assert (
            api.post("/v1/artifacts?name=a.lp", content=bytes(size + 1)).status_code
            == 201
        )
        assert [job["id"] for job in api.get("/v1/jobs").json()["items"]] == [
            after,
            before,
        ]
        assert running.terminate() == 0
    with sqlite3.connect(running.data_dir / "trimtab.sqlite3") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
