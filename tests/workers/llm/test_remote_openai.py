"""The adapter over an endpoint: the contract over a stub, and each fault a clear error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from search.stop import TimeLimit
from search.text_model import (
    Ended,
    Finish,
    Grammar,
    ModelBusy,
    ModelUnavailable,
    TextModel,
    TextModelError,
)
from tests.contracts.text_model import SCHEMA, TextModelContract, asked
from tests.workers.llm import model_files, stub_endpoint

pytest.importorskip("xgrammar", reason="`make setup-llm` installs it")

from workers.llm.open import open_model
from workers.llm.remote_openai import OpenAITextModel, RemoteOptions
from workers.llm.remote_stream import Limits

KEY = "sk-not-to-be-seen"


@pytest.fixture(scope="module")
def over_a_stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextModel]:
    folder = tmp_path_factory.mktemp("models")
    local = open_model(f"checkpoint:{model_files.checkpoint(folder / 'small')}")
    with stub_endpoint.running(local) as endpoint:
        made = OpenAITextModel(RemoteOptions(url=endpoint.url))
        yield made
        made.close()
    local.close()


class TestEndpoint(TextModelContract):
    tokenizes = False
    numbers = False
    hooks = False
    grammars = ("json_schema",)

    @pytest.fixture
    def model(self, over_a_stub: TextModel) -> TextModel:
        return over_a_stub


@pytest.fixture(scope="module")
def endpoint() -> Iterator[stub_endpoint.Endpoint]:
    with stub_endpoint.running() as made:
        yield made


@pytest.fixture
def remote(endpoint: stub_endpoint.Endpoint) -> Iterator[OpenAITextModel]:
    limits = Limits(connect_s=2, silence_s=0.5, answer_s=5, max_bytes=1 << 20)
    made = OpenAITextModel(
        RemoteOptions(url=f"{endpoint.url}#named", key=KEY, limits=limits)
    )
    yield made
    made.close()


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("garbage", ModelUnavailable, "no event stream"),
        ("half", ModelUnavailable, "before it was complete"),
        ("broken_event", ModelUnavailable, "not JSON"),
        ("wrong_shape", ModelUnavailable, "a text"),
        ("reports", ModelUnavailable, "out of memory at line 7"),
        ("silent", ModelUnavailable, "cannot be reached"),
        ("flood", ModelUnavailable, "longer than 1048576 bytes"),
        ("long_line", ModelUnavailable, "longer than 1048576 bytes"),
        ("key", ModelUnavailable, "TRIMTAB_TEXT_API_KEY"),
        ("busy", ModelBusy, "try again later"),
        ("down", ModelUnavailable, "status 502"),
        ("moved", ModelUnavailable, "status 302"),
    ],
)
def test_faults(
    endpoint: stub_endpoint.Endpoint,
    remote: OpenAITextModel,
    fault: str,
    error: type[TextModelError],
    said: str,
) -> None:
    endpoint.fault = fault
    with pytest.raises(error) as caught:
        list(remote.generate(asked(), Ended()))
    assert said in str(caught.value)
    assert KEY not in str(caught.value)
    assert KEY not in repr(remote.capabilities)


def test_an_answer_to_a_schema_that_is_not_json(
    endpoint: stub_endpoint.Endpoint, remote: OpenAITextModel
) -> None:
    endpoint.fault = "not_json"
    request = replace(asked(), grammar=Grammar(json_schema=SCHEMA))
    with pytest.raises(ModelUnavailable, match="is not JSON"):
        list(remote.generate(request, Ended()))


def test_nobody_listens() -> None:
    remote = OpenAITextModel(RemoteOptions(url="http://127.0.0.1:9/v1#named"))
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        list(remote.generate(asked(), Ended()))


def test_fields_that_an_endpoint_refuses_are_left_out(
    endpoint: stub_endpoint.Endpoint, remote: OpenAITextModel
) -> None:
    endpoint.fault = "narrow"
    ended = Ended()
    (token,) = remote.generate(asked(), ended)
    assert token.text == "yes"
    assert token.logprob is None
    assert ended.finish is Finish.STOP
    assert "max_completion_tokens" in endpoint.seen[-1]
    assert not remote.capabilities.logprobs
    before = len(endpoint.seen)
    list(remote.generate(asked(), Ended()))
    assert len(endpoint.seen) == before + 1


def test_a_silent_endpoint_is_left_at_the_deadline(
    endpoint: stub_endpoint.Endpoint,
) -> None:
    endpoint.fault = "silent"
    remote = OpenAITextModel(RemoteOptions(url=f"{endpoint.url}#named"))
    ended = Ended()
    tokens = list(remote.generate(asked(), ended, stop=TimeLimit(0.3)))
    assert [token.text for token in tokens] in (["The"], [])
    assert ended.finish is Finish.CANCELLED
    remote.close()


def test_what_is_sent(endpoint: stub_endpoint.Endpoint, remote: OpenAITextModel) -> None:
    endpoint.fault = "half"
    request = replace(
        asked("hello", tokens=7, temperature=0.5, seed=3, stop=("x",)),
        grammar=Grammar(json_schema=SCHEMA),
    )
    with pytest.raises(ModelUnavailable):
        list(remote.generate(request, Ended()))
    sent = endpoint.seen[-1]
    assert sent["model"] == "named"
    assert sent["messages"] == [{"role": "user", "content": "hello"}]
    assert sent["seed"] == 3
    assert sent["stop"] == ["x"]
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    assert endpoint.headers[-1]["Authorization"] == f"Bearer {KEY}"
