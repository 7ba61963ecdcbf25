"""Engines beside each other: orders, replies, and engines that are absent or end."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from workers.bench.llm import beside
from workers.bench.llm.contenders import loop


class Counting:
    """An engine that draws one token for each sequence and step."""

    def __init__(self) -> None:
        self.sequences = 0

    def read(self, prompts: list[list[int]]) -> int:
        self.sequences = len(prompts)
        return self.sequences

    def advance(self, steps: int) -> int:
        sum(range(200_000))  # some CPU time
        return steps * self.sequences


def test_a_child_answers_each_order(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [
        {"do": "read", "prompts": [[1, 2], [3]]},
        {"do": "advance", "steps": 3},
    ]
    lines = "\n".join(map(json.dumps, orders)) + "\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    replies = io.StringIO()
    loop.serve(Counting(), replies)
    ready, read, advanced = map(json.loads, replies.getvalue().splitlines())
    assert ready["ready"]
    assert (read["tokens"], advanced["tokens"]) == (2, 6)
    assert 0 < advanced["cpu_s"] < 1


def run(names: list[str], python: Path) -> list[dict[str, object]]:
    scenario = beside.Scenario(sequences=2, tokens=3, steps=4, contenders=beside.ALL)
    return list(
        beside.run(
            scenario,
            [[1, 2, 3], [4, 5, 6]],
            model=Path("no.gguf"),
            rounds=3,
            python=python,
            names=names,
        )
    )


def test_an_absent_rival_is_skipped_with_the_reason(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    (line,) = run(["xllamacpp"], fake)
    assert line["contender"] == "xllamacpp"
    assert "expected a reply, got the end of its process" in str(line["skipped"])


def test_rounds_alternate_and_costs_are_by_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    child.write_text(
        "from workers.bench.llm.contenders.loop import reply_stream, serve\n"
        "class Counting:\n"
        "    def read(self, prompts): self.prompts = prompts; return len(prompts)\n"
        "    def advance(self, steps):\n"
        "        sum(range(200_000))\n"
        "        return steps * len(self.prompts)\n"
        "serve(Counting(), reply_stream())\n"
    )

    def start(name: str, scenario: beside.Scenario, **_: object) -> beside.Child:
        process = subprocess.Popen(
            [sys.executable, str(child)],
            cwd=beside.REPOSITORY,
            env={"PYTHONPATH": str(beside.REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return beside.Child(name=name, process=process)

    monkeypatch.setattr(beside, "_start", start)
    lines = run(["own full", "openvino eviction"], tmp_path)
    assert [line["contender"] for line in lines] == ["own full", "openvino eviction"]
    for line in lines:
        assert line["tokens"] == 2 * 4 * 3
        assert len(line["rounds_cpu_ms"]) == 3  # type: ignore[arg-type]
        assert 0 < line["token_cpu_ms"] < 1000  # type: ignore[operator]
    assert [line["slots"] for line in lines] == [0, 0]


def test_evicting_engines_have_a_fifth_of_the_prompt() -> None:
    scenario = beside.SCENARIOS["8x2048"]
    assert beside._slots("own h2o", scenario) == 409
    assert beside._slots("openvino eviction", scenario) == 409
    assert beside._slots("own full", scenario) == 0
    assert all(len(one.contenders) >= 4 for one in beside.SCENARIOS.values())
