"""A hosted model keeps the contract of text models, its frames sent as bytes."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from search.condition import Condition
from search.text_model import (
    Ended,
    Finish,
    ModelUnavailable,
    Sampling,
    TextModel,
    TextModelError,
    TextRequest,
)
from tests.contracts.text_model import TextModelContract
from tests.doubles.text_model import EchoModel
from tests.workers.llm import model_files
from workers.llm import wire
from workers.llm.client import HostedTextModel
from workers.llm.serving import TextServer
from workers.process import frames


def hosted(model: TextModel) -> tuple[HostedTextModel, TextServer]:
    """Connect a client and a server of a model, as over a pipe."""

    def through(frame: dict[str, Any]) -> dict[str, Any]:
        return dict(orjson.loads(frames.pack(frame)[4:]))

    server = TextServer(model, lambda frame: client.deliver(through(frame)))
    client = HostedTextModel(lambda frame: server.handle(through(frame)))
    return client, server


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextModel]:
    pytest.importorskip("xgrammar", reason="`make setup-llm` installs it")
    from workers.llm.open import open_model

    folder = tmp_path_factory.mktemp("models")
    inner = open_model(f"checkpoint:{model_files.checkpoint(folder / 'small')}")
    client, server = hosted(inner)
    yield client
    server.close()
    inner.close()


class TestHosted(TextModelContract):
    hooks = False

    @pytest.fixture
    def model(self, small: TextModel) -> TextModel:
        return small


def request(text: str, *, max_tokens: int = 900) -> TextRequest:
    return TextRequest(prompt=text, sampling=Sampling(max_tokens=max_tokens))


def test_a_reader_that_stalls_gets_no_more_than_the_window() -> None:
    sent = []
    client, server = hosted(EchoModel())
    deliver = client.deliver
    client.deliver = lambda frame: (sent.append(frame), deliver(frame))[1]  # type: ignore[method-assign]
    stream = client.generate(request("long"), Ended())
    next(stream)
    threading.Event().wait(0.3)
    assert len(sent) == wire.WINDOW
    assert sum(1 for _ in stream) == 899
    server.close()


def test_a_lost_connection_ends_every_call_and_refuses_new_ones() -> None:
    client, server = hosted(EchoModel())
    stream = client.generate(request("long slowly"), Ended())
    next(stream)
    client.lose("the executor is gone")
    with pytest.raises(ModelUnavailable, match="the executor is gone"):
        list(stream)
    with pytest.raises(ModelUnavailable, match="the executor is gone"):
        client.tokenize("a")
    server.close()


def test_calls_are_cancelled_while_they_wait_for_a_thread() -> None:
    client, server = hosted(EchoModel(streams=1))
    first = client.generate(request("long slowly"), Ended())
    next(first)
    ended = Ended()
    client._send({"type": "text", "call": 99, "method": "score", "prompt": "a"})
    second = client.generate(request("a b"), ended)
    reading = threading.Thread(target=lambda: list(second))
    reading.start()
    first.close()
    reading.join(60)
    assert ended.finish is Finish.STOP
    server.close()


def test_conditions_cross_the_connection() -> None:
    control = (
        Condition(text="a pair – ü", strength=3.5),
        Condition(text="b", strength=0),
    )
    asked = replace(request("a"), control=control)
    assert (
        wire.request_from_json(orjson.loads(orjson.dumps(wire.request_to_json(asked))))
        == asked
    )
    for broken in (
        Condition(text="\ud800", strength=1),
        Condition(text="a", strength=math.inf),
    ):
        with pytest.raises(TextModelError):
            wire.request_to_json(replace(asked, control=(broken,)))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": [], "prompt": "a", "sampling": {}, "grammar": None, "cache": None},
        {**wire.request_to_json(request("a")), "control": [{"text": "a"}]},
        {
            **wire.request_to_json(request("a")),
            "control": [{"text": "a", "strength": "much"}],
        },
        {"sampling": {"stop": 3}},
        {"messages": [{"role": "user", "text": "a", "other": 1}]},
    ],
)
def test_malformed_requests_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(TextModelError, match="request: expected the fields"):
        wire.request_from_json(body)
