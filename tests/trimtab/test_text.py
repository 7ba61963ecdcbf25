"""The SDK's calls of the language model: whole, in chunks, both clients, broken streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from tests.services.gateway.text.conftest import TextServer
from tests.services.gateway.text.conftest import server as text_server
from tests.waiting import eventually
from trimtab import AsyncClient, Client
from trimtab._core import RetryPolicy
from trimtab.errors import (
    BadRequest,
    ConnectionFailed,
    NotFound,
    ProtocolError,
    TooManyRequests,
    Unavailable,
)
from trimtab.text import TextStream, answer_of

__all__ = ["text_server"]
URL = "http://server.test"
FAST = RetryPolicy(first_s=0.001, most_s=0.002, deadline_s=5)


@pytest.fixture
def client(text_server: TextServer) -> Iterator[Client]:
    with Client(text_server.url, api_key=text_server.admin) as client:
        yield client


def test_chat_and_complete(client: Client, text_server: TextServer) -> None:
    answer = client.chat("one two three", max_tokens=20, seed=1)
    assert answer.text == "one two three "
    assert answer.usage is not None
    assert answer.usage.kv.policy == "full"
    assert answer.usage.completion_tokens == 3
    talk = [{"role": "system", "content": "a", "pinned": True}]
    pinned = client.chat(
        [*talk, {"role": "user", "content": "b"}], cache={"policy": "h2o"}
    )
    assert pinned.text == "a b "
    assert text_server.backend.requests[-1].messages[0].pinned
    several = client.complete(["a", "b"], n=2)
    assert [choice.text for choice in several.choices] == ["a ", "a ", "b ", "b "]
    first = client.chat("once seed", idempotency_key="sdk-1")
    assert client.chat("once seed", idempotency_key="sdk-1").id == first.id


def test_a_schema_or_a_model_of_pydantic(client: Client) -> None:
    class Answer(BaseModel):
        kind: str
        count: int

    assert client.chat("x", json_schema=Answer).parsed() == {"kind": "", "count": 0}
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
    }
    assert client.chat("x", json_schema=schema).parsed() == {"a": 0}


def test_stream(client: Client, text_server: TextServer) -> None:
    chunks = list(client.chat_stream("one two three"))
    assert "".join(chunk.text for chunk in chunks) == "one two three "
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []
    assert [c.finish_reason for chunk in chunks for c in chunk.choices][-1] == "stop"
    stream: Any = client.chat_stream("long slowly", max_tokens=900)
    assert next(stream).text == ""
    stream.close()
    eventually(lambda: text_server.backend._calls.active == 0)


def test_models_and_errors(client: Client) -> None:
    (model,) = client.models()
    assert model.id == client.model().id == client.model("echo").id == "echo"
    assert model.about["context_tokens"] == 1000
    with pytest.raises(NotFound):
        client.model("gpt-5")
    with pytest.raises(NotFound, match="expected 'echo'"):
        client.chat("a", model="gpt-5")
    with pytest.raises(BadRequest, match="tempratur"):
        client.chat("a", tempratur=1)
    with pytest.raises(BadRequest, match="at most 1000 tokens"):
        list(client.chat_stream("a " * 990, max_tokens=100))


def test_asyncio_twin(text_server: TextServer) -> None:
    async def go() -> None:
        async with AsyncClient(text_server.url, api_key=text_server.admin) as client:
            assert (await client.chat("a b")).text == "a b "
            chunks = [chunk.text async for chunk in client.chat_stream("a b")]
            assert "".join(chunks) == "a b "
            assert (await client.complete("c")).text == "c "
            assert [model.id for model in await client.models()] == ["echo"]

    asyncio.run(go())


def chunk(text: str) -> bytes:
    body = {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}}],
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def scripted(*answers: Any) -> Client:
    """A client whose server gives these answers in order."""
    left = list(answers)

    def handle(request: httpx2.Request) -> httpx2.Response:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return httpx2.Response(200, content=answer)
        return httpx2.Response(answer, json={"type": "x", "title": "t", "status": answer})

    transport = httpx2.MockTransport(handle)
    return Client(URL, api_key="k", retry=FAST, transport=transport)


def test_a_stream_is_repeated_until_it_begins_and_never_after() -> None:
    whole = chunk("a\u2028") + b": keep-alive\n\n" + chunk("b") + b"data: [DONE]\n\n"
    with scripted(503, httpx2.ConnectError("down"), whole) as client:
        assert [c.text for c in client.chat_stream("x")] == ["a\u2028", "b"]
    with scripted(chunk("half"), whole) as client:
        stream = client.chat_stream("x")
        assert next(iter(stream)).text == "half"
        with pytest.raises(ConnectionFailed, match="broke off"):
            list(stream)
    error = {"error": {"message": "it crashed", "type": "server_error", "code": None}}
    broken = chunk("half") + b"data: " + json.dumps(error).encode() + b"\n\n"
    with scripted(broken) as client, pytest.raises(Unavailable, match="it crashed"):
        list(client.chat_stream("x"))
    busy = {"error": {"message": "m", "type": "x", "code": "too-many-requests"}}
    with (
        scripted(b"data: " + json.dumps(busy).encode() + b"\n\n") as client,
        pytest.raises(TooManyRequests),
    ):
        list(client.chat_stream("x"))


@pytest.mark.parametrize(
    "body", [{}, [], {"choices": [3]}, {"id": 1, "model": "m"}, None]
)
def test_nonsense_is_a_protocol_error(body: Any) -> None:
    with pytest.raises(ProtocolError):
        answer_of(body)


def test_events_in_any_pieces() -> None:
    data = chunk("ä") + chunk("b") + b"data: [DONE]\n\n" + chunk("ignored")
    for size in (1, 2, 7, 1000):
        stream = TextStream()
        texts = [
            found.text
            for start in range(0, len(data), size)
            if not stream.done
            for found in stream.feed(data[start : start + size])
        ]
        assert texts == ["ä", "b"]
        assert stream.done
    with pytest.raises(ProtocolError, match="expected a chunk"):
        list(TextStream().feed(b"data: {\n"))
