"""`trimtab models` and `submit --model` against the endpoints on the in-memory store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from search.domains.learn.produce import draw_card
from services.gateway.app import create_app
from services.settings import Settings
from services.store.types import Completion, NewJob
from tests.doubles.fitted_models import card_of, model_id, new_model
from tests.doubles.memory_store import MemoryStore
from trimtab.cards import Card
from trimtab.cli import app, live, models, submitting
from trimtab.client import Client
from trimtab.errors import BadRequest, Conflict, NotFound

Run = Callable[..., Result]
URL = "http://127.0.0.1"
DONE = Completion(
    verb="succeed",
    termination={"reason": "completed", "limit": None},
    outcome="result",
    result={},
)


class Registry:
    """Models of the tenant `default`, as jobs register them."""

    def __init__(self, store: MemoryStore, http: TestClient, key: str) -> None:
        self.store, self._http = store, http
        self._headers = {"authorization": f"Bearer {key}"}

    def register(self, number: int, card: Card, *, drawn: bool = True) -> None:
        """End a job that fitted a model."""
        picture = None
        if drawn:
            answer = self._http.post(
                "/v1/artifacts?name=card.svg",
                content=draw_card(card).encode(),
                headers=self._headers,
            )
            picture = answer.json()["digest"]
        asyncio.run(self._register(number, card, picture))

    async def _register(self, number: int, card: Card, picture: str | None) -> None:
        job = NewJob(tenant="default", kind="probe", spec={}, budget={}, seed=0)
        stored = (await self.store.submit(job)).job
        (claim,) = await self.store.claim("w", kinds=["probe"], lease_s=30)
        model = new_model(number, card, picture=picture)
        done = Completion(**{**DONE.__dict__, "model": model})
        await self.store.complete(stored.id, claim.fence, done)


@pytest.fixture
def served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Run, Registry]]:
    settings = Settings(data_dir=tmp_path / "data", role="gateway", log_level="error")
    store = MemoryStore()
    # The server logs to stdout, which here is the command's too.
    with (
        capture_logs(),
        TestClient(create_app(settings, store=store), base_url=URL) as http,
    ):
        key = settings.admin_key_file.read_text().strip()

        def connect() -> Client:
            return Client(URL, api_key=key, transport=http._transport)

        for module in (models, submitting):
            monkeypatch.setattr(module, "connect", connect)

        def call(*arguments: str) -> Result:
            return CliRunner().invoke(app.app, list(arguments))

        yield call, Registry(store, http, key)


@pytest.fixture
def run(served: tuple[Run, Registry]) -> Run:
    return served[0]


@pytest.fixture
def registry(served: tuple[Run, Registry]) -> Registry:
    return served[1]


def test_an_empty_list_says_how_to_begin(run: Run) -> None:
    done = run("models", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "submit a job of kind learn" in done.stderr
    assert json.loads(run("models", "list", "--json").stdout) == []


def test_the_list_is_filtered_by_target_and_state(run: Run, registry: Registry) -> None:
    registry.register(1, card_of())
    registry.register(2, card_of(better=False))
    registry.register(3, card_of(target="ilp"))

    def ids(*more: str) -> list[str]:
        done = run("models", "list", *more)
        assert done.exit_code == 0, done.output
        return [line.split()[0] for line in done.stdout.splitlines()]

    assert ids() == [model_id(3), model_id(2), model_id(1)]
    assert ids("--target", "sharding") == [model_id(2), model_id(1)]
    assert ids("--state", "adopted", "--target", "sharding") == [model_id(1)]
    line = run("models", "list", "--target", "ilp").stdout
    assert line.split()[1:3] == ["ilp", "adopted"]
    listed = json.loads(run("models", "list", "--json", "--target", "ilp").stdout)
    assert [model["state"] for model in listed] == ["adopted"]
    assert isinstance(run("models", "list", "--state", "new").exception, BadRequest)
    assert isinstance(run("models", "list", "--target", "x").exception, BadRequest)


def test_get_shows_the_reasons(run: Run, registry: Registry) -> None:
    registry.register(1, card_of())
    done = run("models", "get", model_id(1))
    assert done.stdout.startswith(f"{model_id(1)}  sharding  adopted")
    assert "The model is adopted." in done.stdout
    view = json.loads(run("models", "get", model_id(1), "--json").stdout)
    assert view["reasons"][-1] == "The model is adopted."
    assert isinstance(run("models", "get", model_id(9)).exception, NotFound)


def test_card_is_json_and_a_picture(run: Run, registry: Registry, tmp_path: Path) -> None:
    registry.register(1, card_of())
    registry.register(2, card_of(), drawn=False)
    to = tmp_path / "card.svg"
    done = run("models", "card", model_id(1), "--picture", str(to))
    assert done.exit_code == 0, done.output
    assert Card.model_validate_json(done.stdout) == card_of()
    assert to.read_text() == draw_card(card_of())
    assert f"wrote {to}" in done.stderr
    assert run("models", "card", model_id(2)).exit_code == 0
    missing = run("models", "card", model_id(2), "--picture", str(to))
    assert isinstance(missing.exception, NotFound)


def test_retire_withdraws_an_adopted_model(run: Run, registry: Registry) -> None:
    registry.register(1, card_of())
    registry.register(2, card_of(better=False))
    done = run("models", "retire", model_id(1))
    assert done.stdout.startswith(f"{model_id(1)}  sharding  retired")
    assert run("models", "list", "--state", "adopted").stdout == ""
    assert json.loads(run("models", "retire", model_id(1), "--json").stdout)
    assert isinstance(run("models", "retire", model_id(2)).exception, Conflict)


def test_a_job_names_its_model(run: Run, registry: Registry, tmp_path: Path) -> None:
    registry.register(1, card_of(target="compile"))
    spec = tmp_path / "job.json"
    body = {"kind": "compile", "spec": {"source_text": "int main(void) { return 0; }"}}
    spec.write_text(json.dumps(body))
    for wanted in (model_id(1), "shipped", "auto"):
        done = run("submit", str(spec), "--model", wanted, "--json")
        assert done.exit_code == 0, done.output
        job_id = json.loads(done.stdout)["id"]
        assert asyncio.run(registry.store.model_pins(job_id)).wanted == wanted
    run("models", "retire", model_id(1))
    refused = run("submit", str(spec), "--model", model_id(1))
    assert "expected an adopted model for kind compile" in str(refused.exception)
    assert run("submit", str(spec), "--model", "newest").exit_code != 0


def test_a_board_is_a_file_to_learn_from_and_no_spec(run: Run, tmp_path: Path) -> None:
    board = tmp_path / "board.json"
    board.write_text('{"board": {"eps_r": 3.5, "height_mm": 0.8}}')
    learn = ("submit", str(board), "--kind", "learn", "--set", "target=antenna")
    done = run(*learn, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["kind"] == "learn"


@pytest.mark.parametrize(
    ("summary", "rows"),
    [
        ({}, []),
        (
            {"model_used": {"id": "shipped", "reason": "the job asked for it"}},
            [("model used", "shipped: the job asked for it")],
        ),
        (
            {
                "model": {"id": model_id(1), "state": "adopted"},
                "reasons": ["Better.", "The model is adopted."],
            },
            [
                ("fitted model", f"{model_id(1)}, adopted"),
                ("card", "Better. The model is adopted."),
            ],
        ),
        ({"model": "a model file's name"}, []),
    ],
)
def test_reports_name_the_model(
    summary: dict[str, object], rows: list[tuple[str, str]]
) -> None:
    assert live.fitted_model(summary) == rows
