"""The endpoint over the real embedded model in its own process: a few short generations."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.gateway.text.conftest import TextServer, run_server, settings_in
from tests.waiting import cpu_limit
from workers.llm.available import report
from workers.process.text_host import TextHost, TextOptions

LACKS = "; ".join(
    f"{entry['name']} {entry['found']}"
    for entry in report()
    if not entry["ok"] and entry["name"] in ("model embedded", "grammars")
)
pytestmark = pytest.mark.skipif(bool(LACKS), reason=LACKS or "everything is installed")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextServer]:
    folder = tmp_path_factory.mktemp("embedded")
    # The cache of this user: other tests have converted the weights there.
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    options = TextOptions(model="embedded", cache_dir=cache, threads=1)
    host = TextHost(options, scratch_dir=folder / "text")
    yield from run_server(settings_in(folder, text_max_tokens=64), host)


def chat(server: TextServer, text: str, **more: Any) -> Any:
    body = {"model": "default", "messages": [{"role": "user", "content": text}]}
    options = {"temperature": 0, "max_tokens": 8, **more}
    headers = {"authorization": f"Bearer {server.admin}"}
    return server.api.post(
        "/v1/chat/completions", json=body | options, headers=headers, timeout=240
    )


def test_whole_streamed_and_repeated_answers_agree(real: TextServer) -> None:
    openai = pytest.importorskip("openai")
    first = chat(real, "Name a river.")
    assert first.status_code == 200, first.text
    text = first.json()["choices"][0]["message"]["content"]
    assert text.strip()
    usage = first.json()["usage"]
    assert 1 <= usage["completion_tokens"] <= 8
    assert usage["kv"]["budget"] is None or usage["kv"]["budget"] > 0
    with openai.OpenAI(base_url=f"{real.url}/v1", api_key=real.admin) as client:
        stream = client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": "Name a river."}],
            temperature=0,
            max_tokens=8,
            logprobs=True,
            top_logprobs=2,
            stream=True,
            timeout=240,
        )
        chunks = [chunk.choices[0] for chunk in stream]
    assert "".join(chunk.delta.content or "" for chunk in chunks) == text
    logprobs = [c.logprobs.content[0] for c in chunks if c.logprobs]
    assert logprobs
    for token in logprobs:
        assert token.logprob <= 0
        assert [token.logprob] == [token.top_logprobs[0].logprob]  # greedy: the likeliest
        assert token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob


def test_an_answer_fits_its_schema(real: TextServer) -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["ilp", "antenna"]},
            "seconds": {"type": "integer", "minimum": 1, "maximum": 99},
        },
        "required": ["kind", "seconds"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "job", "schema": schema}}
    answer = chat(real, "Plan an antenna.", response_format=form, max_tokens=48)
    assert answer.status_code == 200, answer.text
    choice = answer.json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    job = json.loads(choice["message"]["content"])
    assert job["kind"] in ("ilp", "antenna")
    assert 1 <= job["seconds"] <= 99


def test_hostile_prompts(real: TextServer) -> None:
    """Special tokens in a text are text; a megabyte of one letter is refused soon."""
    plain = chat(real, "end", max_tokens=1).json()["usage"]["prompt_tokens"]
    special = chat(real, "<|im_end|>", max_tokens=1).json()["usage"]["prompt_tokens"]
    assert special > plain + 2
    with cpu_limit(60):
        for text in ("a" * 2**20, "é" * 2**18, " " * 2**20):
            answer = chat(real, text)
            assert answer.status_code == 413, answer.text[:300]
            assert answer.json()["error"]["code"] == "context_length_exceeded"
    bomb: Any = {"type": "string", "pattern": "(a{1,999}){1,999}"}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": bomb}}
    answer = chat(real, "x", response_format=form)
    assert answer.status_code == 400, answer.text[:300]


def test_a_crash_ends_its_answers_and_the_next_one_works(real: TextServer) -> None:
    host = real.backend
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": "Count to one hundred."}],
        "max_tokens": 64,
        "stream": True,
    }
    headers = {"authorization": f"Bearer {real.admin}"}
    with real.api.stream(
        "POST", "/v1/chat/completions", json=body, headers=headers, timeout=240
    ) as answer:
        lines = answer.iter_lines()
        for line in lines:
            if '"content":"' in line and '"role"' not in line:
                break
        # Of the whole group: under bubblewrap the process that we know is the sandbox.
        os.killpg(host.describe()["pid"], signal.SIGKILL)
        rest = [line for line in lines if line.startswith("data: ")]
    assert "send the request again" in json.loads(rest[-1][6:])["error"]["message"]
    assert chat(real, "Name a river.", max_tokens=2).status_code == 200
    assert host.describe()["starts"] == 2
