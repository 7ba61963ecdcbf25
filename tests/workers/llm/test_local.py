"""The embedded model end to end: chat, grammar, snapshots, likelihoods. Skipped without it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator

import pytest

from search.text_model import (
    CacheBudget,
    CachePolicy,
    Ended,
    Finish,
    Grammar,
    Message,
    Sampling,
    TextRequest,
)
from workers.llm import local, weights
from workers.llm.engine import Options
from workers.llm.local import LocalTextModel


@pytest.fixture(scope="module")
def model() -> Iterator[LocalTextModel]:
    try:
        importlib.metadata.distribution(weights.EMBEDDED.package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"needs the package {weights.EMBEDDED.package}: make setup-llm")
    loaded = local.load(weights.embedded(), Options(sequences=2, slots=256, threads=1))
    yield loaded
    loaded.close()


SYSTEM = Message(
    role="system",
    text="You answer with one short sentence, as a geographer who has travelled much.",
    pinned=True,
)


def asked(text: str, **changed: object) -> TextRequest:
    return TextRequest(
        messages=(SYSTEM, Message(role="user", text=text)),
        sampling=Sampling(**({"max_tokens": 24} | changed)),  # type: ignore[arg-type]
    )


def answer(model: LocalTextModel, request: TextRequest) -> tuple[str, Ended]:
    ended = Ended()
    return "".join(token.text for token in model.generate(request, ended)), ended


@pytest.mark.parametrize(
    "policy", [CachePolicy.FULL, CachePolicy.H2O, CachePolicy.SNAPKV]
)
def test_the_model_knows_a_capital(model: LocalTextModel, policy: CachePolicy) -> None:
    """Weights, rotary embedding, template and sinks are right: a wrong one answers noise."""
    budget = CacheBudget(policy=policy, slots=48)
    request = TextRequest(
        prompt="The capital of France is Paris. The capital of Italy is Rome. The capital of "
        "Spain is Madrid. The capital of Portugal is Lisbon. The capital of Austria is Vienna. "
        "The capital of Germany is",
        sampling=Sampling(max_tokens=2),
        cache=budget,
    )
    text, ended = answer(model, request)
    assert text.startswith(" Berlin")
    assert ended.finish is Finish.LENGTH


def test_a_schema_bounds_the_answer(model: LocalTextModel) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "year": {"type": "integer"}},
        "required": ["city", "year"],
        "additionalProperties": False,
    }
    if importlib.util.find_spec("xgrammar") is None:
        pytest.skip("needs xgrammar: make setup-llm")
    request = TextRequest(
        messages=(Message(role="user", text="Name a city and a year, as JSON."),),
        sampling=Sampling(max_tokens=60),
        grammar=Grammar(json_schema=schema),
    )
    text, ended = answer(model, request)
    found = json.loads(text)
    assert found["city"] in ("Paris", "Rome")
    assert isinstance(found["year"], int)
    assert ended.finish is Finish.STOP


def test_the_system_prompt_is_read_once(model: LocalTextModel) -> None:
    answer(model, asked("Where is Bergen?"))
    _, ended = answer(model, asked("Where is the river Po?"))
    assert ended.usage is not None
    assert ended.usage.cached_tokens >= 16


def test_likelihoods_order_continuations(model: LocalTextModel) -> None:
    paris, london, noise = model.score(
        "The capital of France is", [" Paris", " London", "xq"]
    )
    assert paris > london > noise
    assert paris > -1
