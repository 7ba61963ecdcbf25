"""The process of a language model: sandbox, many streams, cancel, deadlines, crashes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from search.text_model import (
    CacheBudget,
    CachePolicy,
    Ended,
    Finish,
    Grammar,
    Message,
    ModelBusy,
    ModelUnavailable,
    PromptTooLong,
    Sampling,
    TextModelError,
    TextRequest,
)
from tests.doubles.text_model import SLOW_TOKEN_S, STREAMS
from tests.waiting import eventually_true, sooner_than
from workers.process import text_host
from workers.process.text_host import TextHost, TextOptions

OPENER = "tests.doubles.text_model:open_double"


def request(text: str, *, max_tokens: int = 50, **more: Any) -> TextRequest:
    return TextRequest(
        messages=(Message(role="user", text=text),),
        sampling=Sampling(max_tokens=max_tokens),
        **more,
    )


@asynccontextmanager
async def hosted(
    folder: Path, model: str = "embedded", **options: Any
) -> AsyncIterator[TextHost]:
    chosen = {"sandbox": "rlimit", "cache_dir": folder / "cache", "opener": OPENER}
    host = TextHost(
        TextOptions(model=model, **(chosen | options)), scratch_dir=folder / "text"
    )
    await host.open()
    try:
        yield host
    finally:
        await host.close()
        assert host.describe()["pid"] is None
        assert list((folder / "text").iterdir()) == []


async def text_of(host: TextHost, asked: TextRequest, **more: Any) -> tuple[str, Ended]:
    ended, text = Ended(), ""
    async with aclosing(host.generate(asked, ended, **more)) as tokens:
        async for token in tokens:
            text += token.text
    return text, ended


def test_streams_values_and_errors_cross_the_process(tmp_path: Path) -> None:
    async def go() -> None:
        async with hosted(tmp_path) as host:
            about = await host.capabilities()
            assert (about.name, about.streams) == ("echo", STREAMS)
            text, ended = await text_of(host, request("one two three"))
            assert text == "one two three "
            assert ended.finish is Finish.STOP
            assert ended.usage is not None
            assert ended.usage.completion_tokens == 3
            cache = CacheBudget(policy=CachePolicy.H2O, slots=64)
            _, ended = await text_of(host, request("a b", cache=cache))
            assert ended.usage is not None
            assert (ended.usage.policy, ended.usage.evicted_tokens) == ("h2o", 5)
            grammar = Grammar(choices=("yes", "no"))
            assert (await text_of(host, request("a", grammar=grammar)))[0] == "yes"
            assert await host.tokenize("four by") == [4, 2]
            assert await host.score("a", ["bb", "ccc"]) == [-2.0, -3.0]
            with pytest.raises(PromptTooLong, match="expected at most 1000 tokens"):
                await text_of(host, request("a", max_tokens=5000))
            with pytest.raises(ModelUnavailable, match="RuntimeError: a fault inside"):
                await text_of(host, request("fault"))
            assert (await text_of(host, request("still here")))[0] == "still here "
            assert host.describe()["starts"] == 1

    asyncio.run(go())


def test_streams_run_side_by_side_and_callers_take_turns(tmp_path: Path) -> None:
    async def go() -> None:
        async with hosted(tmp_path, max_waiting=9) as host:
            await host.capabilities()
            order: list[str] = []

            async def call(owner: str) -> None:
                await text_of(host, request("slowly a b"), owner=owner)
                order.append(owner)

            busy = [asyncio.create_task(call("busy")) for _ in range(12)]
            await eventually_true(lambda: host.describe()["waiting"] == 12 - STREAMS)
            late = asyncio.create_task(call("late"))
            await eventually_true(lambda: host.describe()["waiting"] == 9)
            with pytest.raises(ModelBusy, match="at most 9 calls"):
                await text_of(host, request("a"))
            await asyncio.gather(*busy, late)
            # The other caller came last and did not wait for all twelve.
            assert order.index("late") <= 2 * STREAMS
            assert host.describe()["active"] == host.describe()["waiting"] == 0

    asyncio.run(go())


def test_cancel_deadline_and_slow_readers(tmp_path: Path) -> None:
    async def go() -> None:
        async with hosted(tmp_path) as host:
            ended = Ended()
            stream = host.generate(request("long slowly", max_tokens=900), ended)
            await anext(stream)
            with sooner_than(900 * SLOW_TOKEN_S):
                await stream.aclose()
            assert host.describe()["active"] == 0
            # A deadline ends the generation with what there is.
            text, ended = await text_of(
                host, request("long slowly", max_tokens=900), deadline_s=0.5
            )
            assert ended.finish is Finish.CANCELLED
            assert 1 <= len(text.split()) <= 40
            # A reader that takes nothing holds up its own stream only.
            slow = host.generate(request("long", max_tokens=900), Ended())
            await anext(slow)
            for _ in range(2 * STREAMS):
                assert (await text_of(host, request("quick")))[0] == "quick "
            count = 1
            async for _ in slow:
                count += 1
            assert count == 900

    asyncio.run(go())


def test_a_crash_ends_what_had_begun_and_nothing_else(tmp_path: Path) -> None:
    async def go() -> None:
        async with hosted(tmp_path) as host:
            await host.capabilities()
            others = [
                asyncio.create_task(text_of(host, request("long slowly", max_tokens=50)))
                for _ in range(STREAMS - 1)
            ]
            await eventually_true(lambda: host.describe()["active"] == STREAMS - 1)
            await asyncio.sleep(0.2)
            crash = asyncio.create_task(text_of(host, request("crash slowly now please")))
            await asyncio.sleep(0)
            waiting = asyncio.create_task(text_of(host, request("i waited")))
            for task in (crash, *others):
                with pytest.raises(ModelUnavailable, match="ended by SIGKILL"):
                    await task
            assert (await waiting)[0] == "i waited "
            assert host.describe()["starts"] == 2
            # Killed from outside, while nothing runs.
            os.kill(host.describe()["pid"], signal.SIGKILL)
            await eventually_true(lambda: host.describe()["starts"] == 3)
            assert (await text_of(host, request("back")))[0] == "back "

    asyncio.run(go())


def test_a_model_that_ignores_its_deadline_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_host, "OVERTIME_S", 0.3)

    async def go() -> None:
        async with hosted(tmp_path) as host:
            await host.capabilities()
            with pytest.raises(ModelUnavailable, match="did not end a call"):
                await text_of(host, request("hang"), deadline_s=0.2)
            assert (await text_of(host, request("back")))[0] == "back "

    asyncio.run(go())


@pytest.mark.parametrize(
    ("model", "reason"),
    [("missing", "make setup-llm"), ("absent", "make setup-llm"), ("segv", "SIGSEGV")],
)
def test_a_model_that_cannot_be_opened_says_why(
    tmp_path: Path, model: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_host, "_FIRST_PAUSE_S", text_host._REFUSED_PAUSE_S)

    async def go() -> None:
        async with hosted(tmp_path, model) as host:
            with pytest.raises(ModelUnavailable, match=reason):
                await text_of(host, request("a"))
            assert host.describe()["state"] in ("failed", "restarting")
            assert reason in host.describe()["reason"]

    asyncio.run(go())


@pytest.mark.parametrize("sandbox", ["rlimit", "auto"])
def test_the_process_reaches_its_cache_and_nothing_else(
    tmp_path: Path, sandbox: str
) -> None:
    from workers.process.sandbox import choose_level, protection

    held = protection(choose_level(sandbox)[0])
    if not (held.files and held.network):
        pytest.skip(f"no protection here: {held.gaps}")

    async def go() -> str:
        async with hosted(tmp_path, "reaching", sandbox=sandbox, threads=2) as host:
            return (await text_of(host, request("a")))[0]

    words = asyncio.run(go()).split()
    assert {"no-sockets", "kept:open", "threads=2"} <= set(words), words
    assert "passwd:open" not in words
    assert (tmp_path / "cache" / "kept").read_text() == "x"


def test_what_a_model_may_reach_follows_from_its_name(tmp_path: Path) -> None:
    def program(model: str) -> Any:
        return TextOptions(model=model, cache_dir=tmp_path, api_key="secret").program()

    assert not program("embedded").network
    local = program(f"checkpoint:{tmp_path}")
    assert tmp_path in local.readable
    assert not local.network
    remote = program("openai:https://models.example/v1")
    assert remote.network
    assert remote.environment["TRIMTAB_TEXT_API_KEY"] == "secret"
    assert "secret" not in repr(
        TextOptions(model="x", cache_dir=tmp_path, api_key="secret")
    )


def test_a_fault_of_the_protocol_is_an_error_of_the_call(tmp_path: Path) -> None:
    async def go() -> None:
        async with hosted(tmp_path) as host:
            await host.capabilities()
            assert host._calls is not None
            with pytest.raises(TextModelError, match="method: expected generate"):
                await host._calls.value("invent")
            with pytest.raises(TextModelError, match="request: expected the fields"):
                await host._calls.value("generate", request={"prompt": 3})

    asyncio.run(go())
