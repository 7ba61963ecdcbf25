"""The language model on Ray: streams, cancel, runs that ask it, deaths of its process and actor."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from search.text_model import (
    Ended,
    Finish,
    Message,
    ModelUnavailable,
    PromptTooLong,
    Sampling,
    TextRequest,
)
from tests.changing.test_kind import RootSpec
from tests.waiting import eventually_true
from tests.workers.cluster.cluster import LocalCluster
from workers.cluster.pool import RayExecutor
from workers.cluster.pool_text import PoolText
from workers.process.text_host import TextOptions
from workers.types import OutcomeStatus, Task

pytestmark = pytest.mark.ray


def request(text: str, *, max_tokens: int = 50) -> TextRequest:
    return TextRequest(
        messages=(Message(role="user", text=text),),
        sampling=Sampling(max_tokens=max_tokens),
    )


async def text_of(model: PoolText, asked: TextRequest) -> tuple[str, Ended]:
    ended, text = Ended(), ""
    async with aclosing(model.generate(asked, ended, owner="me")) as tokens:
        async for token in tokens:
            text += token.text
    return text, ended


@pytest.fixture(scope="module")
def ray_executor(
    cluster: LocalCluster,
    runner: asyncio.Runner,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RayExecutor]:
    folder = tmp_path_factory.mktemp("ray-text")
    made = RayExecutor(
        address=cluster.address,
        workers=1,
        scratch_dir=folder / "runs",
        sandbox="rlimit",
        namespace="text",
        text=TextOptions(
            model="embedded",
            sandbox="rlimit",
            cache_dir=folder / "cache",
            opener="tests.doubles.text_model:open_double",
        ),
    )
    runner.run(made.open())
    yield made
    runner.run(made.close())


@pytest.fixture
def model(ray_executor: RayExecutor) -> PoolText:
    assert ray_executor.text is not None
    return ray_executor.text


def test_streams_errors_and_cancel(model: PoolText, runner: asyncio.Runner) -> None:
    async def go() -> None:
        assert (await model.capabilities()).name == "echo"
        text, ended = await text_of(model, request("one two three"))
        assert (text, ended.finish) == ("one two three ", Finish.STOP)
        assert ended.usage is not None
        assert await model.tokenize("a bb") == [1, 2]
        assert await model.score("a", ["b"]) == [-1.0]
        with pytest.raises(PromptTooLong):
            await text_of(model, request("a", max_tokens=2000))
        # More than the window of tokens that may be on their way.
        long, _ = await text_of(model, request("long", max_tokens=700))
        assert len(long.split()) == 700
        stream = model.generate(request("long slowly", max_tokens=900), Ended())
        await anext(stream)
        await eventually_true(lambda: model.describe().get("active") == 1)
        await stream.aclose()
        await eventually_true(lambda: model.describe()["active"] == 0)
        both = await asyncio.gather(
            text_of(model, request("slowly a")), text_of(model, request("slowly b"))
        )
        assert [text for text, _ in both] == ["slowly a ", "slowly b "]

    runner.run(go())


def test_a_run_on_ray_asks_the_actor(
    ray_executor: RayExecutor, runner: asyncio.Runner, tmp_path: Path
) -> None:
    task = Task(
        job_id="j",
        fence=1,
        kind="root",
        builder="tests.doubles.asking_domain:build",
        spec_class=f"{RootSpec.__module__}:RootSpec",
        spec={"square": 99},
        seed=0,
        budget={"seconds": 30.0},
        needs=("text_model",),
    )

    async def go() -> None:
        execution = await ray_executor.start(task)
        outcome = await execution.result()
        await execution.close()
        assert outcome.status is OutcomeStatus.RESULT, outcome.termination
        assert outcome.result is not None
        assert outcome.result["objective"] == 1.0

    runner.run(go())


def test_the_models_process_and_its_actor_are_restarted(
    model: PoolText, runner: asyncio.Runner
) -> None:
    async def go() -> None:
        with pytest.raises(ModelUnavailable, match="ended by SIGKILL"):
            await text_of(model, request("crash slowly please now"))
        assert (await text_of(model, request("back")))[0] == "back "
        await eventually_true(lambda: model.describe()["starts"] == 2)
        # The actor itself: Ray restarts it; what it streamed ends with an error.
        first = model.describe()["actor_pid"]
        stream = model.generate(request("long slowly", max_tokens=900), Ended())
        await anext(stream)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(ModelUnavailable, match="send the request again"):
            async for _ in stream:
                pass
        await eventually_true(
            lambda: (
                model.describe()["state"] == "ready"
                and model.describe()["actor_pid"] != first
            ),
            within_s=120,
        )
        assert (await text_of(model, request("again")))[0] == "again "

    runner.run(go())
