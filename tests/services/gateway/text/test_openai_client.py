"""The official `openai` client, unmodified: its own calls, errors, retries and streams."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from tests.services.gateway.text.conftest import TextServer

openai = pytest.importorskip("openai", reason="the official client is not installed")

MESSAGES: Any = [{"role": "user", "content": "one two three"}]


@pytest.fixture
def client(server: TextServer) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.admin) as client:
        yield client


def test_chat(client: Any) -> None:
    answer = client.chat.completions.create(
        model="echo", messages=MESSAGES, max_tokens=10, seed=3, temperature=0, user="me"
    )
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content == "one two three "
    assert choice.finish_reason == "stop"
    assert choice.logprobs is None
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 3, 6)
    assert usage.prompt_tokens_details.cached_tokens == 3
    assert usage.kv == {"policy": "full", "budget": None, "evicted": 0}


def test_chat_limits_stops_and_choices(client: Any, server: TextServer) -> None:
    create = client.chat.completions.create
    short = create(model="echo", messages=MESSAGES, max_completion_tokens=2)
    assert short.choices[0].finish_reason == "length"
    assert short.choices[0].message.content == "one two "
    stopped = create(model="echo", messages=MESSAGES, stop=["wo", "zzz"])
    assert stopped.choices[0].message.content == "one t"
    parts: Any = [
        {"role": "developer", "content": "say seed"},
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
    ]
    several = create(model="echo", messages=parts, n=3, seed=7)
    texts = [choice.message.content for choice in several.choices]
    assert texts == [f"seed={seed} say seed a " for seed in (7, 8, 9)]
    assert several.usage.prompt_tokens == 3
    assert several.usage.completion_tokens == 12
    sent = server.backend.requests[-1]
    assert [message.role for message in sent.messages] == ["system", "user"]
    assert sent.sampling.temperature == 1.0


def test_logprobs(client: Any) -> None:
    answer = client.chat.completions.create(
        model="echo", messages=MESSAGES, logprobs=True, top_logprobs=3
    )
    first = answer.choices[0].logprobs.content[0]
    assert (first.token, first.logprob, bytes(first.bytes)) == ("one ", -0.5, b"one ")
    assert [other.token for other in first.top_logprobs] == ["one ", "other1", "other2"]
    old = client.completions.create(model="echo", prompt="a bc", logprobs=2)
    logprobs = old.choices[0].logprobs
    assert logprobs.tokens == ["a ", "bc "]
    assert logprobs.token_logprobs == [-0.5, -0.5]
    assert logprobs.text_offset == [0, 2]
    assert logprobs.top_logprobs[0] == {"a ": -0.5, "other1": -3.0}


def test_completions_of_several_prompts(client: Any) -> None:
    answer = client.completions.create(
        model="echo", prompt=["a", "b c"], n=2, max_tokens=5
    )
    assert answer.object == "text_completion"
    assert [choice.text for choice in answer.choices] == ["a ", "a ", "b c ", "b c "]
    assert answer.usage.prompt_tokens == 3


def test_stream(client: Any) -> None:
    stream = client.chat.completions.create(
        model="echo",
        messages=MESSAGES,
        stream=True,
        n=2,
        logprobs=True,
        stream_options={"include_usage": True},
    )
    texts, finishes, usage = ["", ""], {}, None
    for chunk in stream:
        assert chunk.object == "chat.completion.chunk"
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                finishes[choice.index] = choice.finish_reason
    assert texts == ["one two three "] * 2
    assert finishes == {0: "stop", 1: "stop"}
    assert usage is not None
    assert usage.completion_tokens == 6
    old = client.completions.create(model="echo", prompt="a b", stream=True)
    assert "".join(chunk.choices[0].text for chunk in old) == "a b "


def test_the_clients_own_stream_helper_and_parsing(client: Any) -> None:
    class Weather(BaseModel):
        city: str
        degrees: int

    parsed = client.chat.completions.parse(
        model="echo", messages=MESSAGES, response_format=Weather
    )
    assert parsed.choices[0].message.parsed == Weather(city="", degrees=0)
    with client.chat.completions.stream(model="echo", messages=MESSAGES) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert final.choices[0].message.content == "one two three "


def test_response_formats(client: Any, server: TextServer) -> None:
    create = client.chat.completions.create
    anything = create(
        model="echo", messages=MESSAGES, response_format={"type": "json_object"}
    )
    assert anything.choices[0].message.content == "{}"
    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["ilp", "antenna"], "type": "string"}},
        "required": ["kind"],
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "job", "schema": schema}}
    fitting = create(model="echo", messages=MESSAGES, response_format=form)
    assert fitting.choices[0].message.content == '{"kind": "ilp"}'
    grammar = server.backend.requests[-1].grammar
    assert grammar is not None
    assert grammar.json_schema == schema


def test_extensions_pass_through_the_client(client: Any, server: TextServer) -> None:
    answer = client.chat.completions.create(
        model="echo",
        messages=[{"role": "user", "content": "a", "pinned": True}],
        extra_body={"cache": {"policy": "h2o", "slots": 64}, "min_p": 0.1},
    )
    assert answer.usage.kv["policy"] == "h2o"
    assert answer.usage.kv["evicted"] == 5
    sent = server.backend.requests[-1]
    assert sent.messages[0].pinned
    assert sent.cache is not None
    assert (sent.cache.slots, sent.sampling.min_p) == (64, 0.1)


def test_models(client: Any) -> None:
    (model,) = client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("echo", "model", "trimtab")
    assert client.models.retrieve("echo").trimtab["context_tokens"] == 1000
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-5")
    assert caught.value.code == "model_not_found"


def test_errors_are_the_clients_own(client: Any, server: TextServer) -> None:
    create = client.chat.completions.create
    with pytest.raises(openai.BadRequestError) as caught:
        create(model="echo", messages=MESSAGES, extra_body={"tools_x": 1})
    assert caught.value.param == "tools_x"
    assert caught.value.type == "invalid_request_error"
    assert "expected no such field" in caught.value.message
    for field, value, message in (
        ("stop", "", "stop: expected text of at least 1 character"),
        ("max_tokens", -1, "max_tokens: expected a value of at least 1, got -1"),
    ):
        with pytest.raises(openai.BadRequestError, match=message) as wrong:
            create(model="echo", messages=MESSAGES, extra_body={field: value})
        assert wrong.value.param == field
    with pytest.raises(openai.BadRequestError, match="tools"):
        create(model="echo", messages=MESSAGES, tools=[])
    with pytest.raises(openai.NotFoundError) as missing:
        create(model="gpt-5", messages=MESSAGES)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.APIStatusError) as long:
        create(model="echo", messages=[{"role": "user", "content": "a " * 995}])
    assert (long.value.status_code, long.value.code) == (413, "context_length_exceeded")
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="tt_wrong") as stranger,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        stranger.models.list()
    assert refused.value.type == "authentication_error"
    viewer = server.key(scopes=["viewer"])
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key=viewer) as reader,
        pytest.raises(openai.PermissionDeniedError),
    ):
        reader.chat.completions.create(model="echo", messages=MESSAGES)


def test_quota_is_a_rate_limit_error(server: TextServer) -> None:
    poor = server.key(limits={"text_tokens_per_minute": 50})
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key=poor, max_retries=0
    ) as client:
        create = client.chat.completions.create
        with pytest.raises(openai.RateLimitError, match="at most 50, got 200 at once"):
            create(model="echo", messages=MESSAGES, max_tokens=50, n=4)
        for _ in range(3):  # what a generation did not use returns to the quota
            create(model="echo", messages=MESSAGES, max_tokens=30)
        calls = (
            create(model="echo", messages=MESSAGES, max_tokens=30) for _ in range(20)
        )
        with pytest.raises(openai.RateLimitError) as caught:
            list(calls)
        assert caught.value.type == "rate_limit_error"
        assert int(caught.value.response.headers["retry-after"]) >= 1


def test_an_error_in_a_stream_is_raised_in_the_stream(client: Any) -> None:
    with pytest.raises(openai.APIStatusError) as early:
        client.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "refuse"}], stream=True
        )
    assert early.value.status_code == 413


def test_asyncio_client(server: TextServer) -> None:
    async def go() -> None:
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key=server.admin
        ) as client:
            answer = await client.chat.completions.create(model="echo", messages=MESSAGES)
            assert answer.choices[0].message.content == "one two three "
            stream = await client.chat.completions.create(
                model="echo", messages=MESSAGES, stream=True
            )
            parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "".join(parts) == "one two three "
            calls = (
                client.completions.create(model="echo", prompt=f"slowly {number}")
                for number in range(6)
            )
            texts = [answer.choices[0].text for answer in await asyncio.gather(*calls)]
            assert texts == [f"slowly {number} " for number in range(6)]

    asyncio.run(go())
