"""Pages of fitted models."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from services.gateway.app import create_app
from services.settings import Settings
from services.store.types import ModelRecord, ModelState
from tests.doubles.memory_store import MemoryStore
from trimtab.cards import Card, CardRow, Metric, Sizes, judged

NAME = "mdl_" + "0" * 26


def record() -> ModelRecord:
    rows = tuple(
        CardRow(instance=f"i{n}", key=str(n), shipped=2.0 + n, fitted=1.0 + n)
        for n in range(8)
    )
    metric = Metric(name="error", unit="%")
    interval, decision, reasons = judged(rows, metric, seed=1)
    card = Card(
        target="sharding",
        metric=metric,
        data_sha256="0" * 64,
        model_sha256="1" * 64,
        model_bytes=10,
        command="{}",
        seed=1,
        sizes=Sizes(instances=20, fit=12, held_out=8),
        rows=rows,
        difference=interval,
        decision=decision,
        reasons=reasons,
    )
    return ModelRecord(
        id=NAME,
        tenant="default",
        target="sharding",
        job_id="job_1",
        created_us=1,
        size_bytes=10,
        digest="sha256:" + "1" * 64,
        picture=None,
        state=ModelState.ADOPTED,
        card=card.model_dump(mode="json"),
    )


def test_the_list_a_card_and_its_retirement(tmp_path: Path) -> None:
    store = MemoryStore()
    settings = Settings(data_dir=tmp_path, role="gateway", auth="off", log_level="error")
    with TestClient(
        create_app(settings, store=store), base_url="http://127.0.0.1"
    ) as client:
        assert "No model yet" in client.get("/models").text
        store._models[NAME] = record()
        assert f'href="/models/{NAME}"' in client.get("/models").text
        page = client.get(f"/models/{NAME}").text
        assert "The whole interval lies on the good side." in page
        assert "12 to fit, 8 held out" in page
        assert client.get("/models/mdl_x").status_code == 404
        client.post(f"/models/{NAME}/retire", headers={"origin": "http://127.0.0.1"})
        assert "Retired" in client.get(f"/models/{NAME}").text
