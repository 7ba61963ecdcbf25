"""Decode speed beside rivals: each engine in a process of its own, some steps of each in turn.

CPU time of the whole process is measured, one thread each. The order within a round rotates, so
that a change of the machine's speed meets all alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
SHARE = 0.2
"""Slots of an evicting cache by the prompt's tokens."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Sequences and tokens of a comparison."""

    sequences: int
    tokens: int  # of each prompt
    steps: int  # of each engine in a round
    contenders: tuple[str, ...]

    @property
    def name(self) -> str:
        """Label of the results: sequences x tokens."""
        return f"{self.sequences}x{self.tokens}"


ALL = ("own full", "own h2o", "xllamacpp", "openvino", "openvino eviction")
SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        one.name: one
        for one in (
            Scenario(sequences=1, tokens=512, steps=16, contenders=ALL[:4]),
            Scenario(sequences=1, tokens=2048, steps=16, contenders=ALL),
            Scenario(sequences=1, tokens=7936, steps=8, contenders=ALL),
            Scenario(sequences=8, tokens=512, steps=8, contenders=ALL[:4]),
            Scenario(sequences=8, tokens=2048, steps=8, contenders=ALL),
        )
    }
)


@dataclass(kw_only=True)
class Child:
    """One engine in a process."""

    name: str
    process: subprocess.Popen[str]
    loaded: dict[str, Any] = field(default_factory=dict)

    def order(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send an order and return the reply. Raises RuntimeError when the engine is gone."""
        self.send(message)
        return self.reply()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send an order."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the reply is missing then, which `reply` reports

    def reply(self) -> dict[str, Any]:
        """Return the next line of the engine. Raises RuntimeError when the engine is gone."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"{self.name}: expected a reply, got the end of its process (exit code "
                f"{self.process.wait()}); run it alone to see its log"
            )
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        """End the process and close its pipes."""
        self.process.kill()
        with self.process:
            pass


def run(
    scenario: Scenario,
    prompts: Sequence[Sequence[int]],
    *,
    model: Path,
    rounds: int,
    python: Path,
    names: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Yield a line for each contender of a scenario; a rival that is absent says why.

    Args:
        scenario: sequences, tokens and steps.
        prompts: one of `scenario.tokens` ids for each sequence.
        model: GGUF file that all read.
        rounds: of `scenario.steps` steps of each.
        python: interpreter that has the rivals' packages.
        names: contenders to measure.
    """
    children: list[Child] = []
    ready: list[Child] = []
    try:
        for name in (name for name in scenario.contenders if name in names):
            child = _start(name, scenario, model=model, rounds=rounds, python=python)
            children.append(child)
            try:
                child.loaded = child.reply()
            except RuntimeError as error:
                yield {
                    "scenario": scenario.name,
                    "contender": name,
                    "skipped": str(error),
                }
            else:
                ready.append(child)
        yield from _compare(scenario, prompts, ready, rounds)
    finally:
        for child in children:
            child.close()


def _compare(
    scenario: Scenario,
    prompts: Sequence[Sequence[int]],
    children: Sequence[Child],
    rounds: int,
) -> Iterator[dict[str, Any]]:
    # Prompts are read by all at the same time: it takes minutes, and decoding is compared.
    for child in children:
        child.send({"do": "read", "prompts": [list(prompt) for prompt in prompts]})
    read = {child.name: child.reply() for child in children}
    # The first steps after a prompt fill caches and are not counted.
    for child in children:
        child.order({"do": "advance", "steps": 2})
    replies: dict[str, list[dict[str, Any]]] = {child.name: [] for child in children}
    for number in range(rounds):
        turn = number % max(len(children), 1)
        for child in [*children[turn:], *children[:turn]]:
            replies[child.name].append(
                child.order({"do": "advance", "steps": scenario.steps})
            )
    for child in children:
        own = replies[child.name]
        tokens = sum(reply["tokens"] for reply in own)
        cpu_s = sum(reply["cpu_s"] for reply in own)
        yield {
            "scenario": scenario.name,
            "sequences": scenario.sequences,
            "prompt_tokens": scenario.tokens,
            "slots": _slots(child.name, scenario),
            "contender": child.name,
            "read_cpu_s": round(read[child.name]["cpu_s"], 3),
            "token_cpu_ms": round(1e3 * cpu_s / tokens, 3),
            "rounds_cpu_ms": [
                round(1e3 * reply["cpu_s"] / reply["tokens"], 3) for reply in own
            ],
            "tokens": tokens,
            "loaded_mb": round(child.loaded["peak_mb"], 1),
            "peak_mb": round(own[-1]["peak_mb"], 1) if own else None,
        }


def _slots(name: str, scenario: Scenario) -> int:
    """Return the slots of an evicting cache; 0: full."""
    evicts = name in ("own h2o", "openvino eviction")
    return int(SHARE * scenario.tokens) if evicts else 0


def _drawn(scenario: Scenario, rounds: int) -> int:
    """Return room for what a sequence draws, also while the prompts of others are still read."""
    meanwhile = 4 * scenario.sequences * (scenario.tokens // 256 + 1)
    return scenario.steps * rounds + meanwhile + 32


def _start(
    name: str, scenario: Scenario, *, model: Path, rounds: int, python: Path
) -> Child:
    setup = {
        "model": str(model),
        "sequences": scenario.sequences,
        "context": scenario.tokens + _drawn(scenario, rounds),
        "slots": _slots(name, scenario),
        "policy": "h2o",
    }
    module = {"xllamacpp": "xllamacpp", "openvino": "openvino"}.get(
        name.split()[0], "own"
    )
    one_thread = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    process = subprocess.Popen(
        [
            sys.executable if module == "own" else str(python),
            "-m",
            f"workers.bench.llm.contenders.{module}",
            json.dumps(setup),
        ],
        cwd=REPOSITORY,
        env={**os.environ, **dict.fromkeys(one_thread, "1")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    return Child(name=name, process=process)
