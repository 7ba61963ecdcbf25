"""Decode of our evicting cache against our full one: rows that start from one prompt.

Reading eight long prompts takes minutes, and is not what is compared. One prompt is read, its
state is copied to every row, and both caches decode in turn in one process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from search.text_model import CacheBudget, CachePolicy
from workers.bench.llm.beside import SHARE, Scenario
from workers.bench.llm.cpu import CpuClock
from workers.bench.llm.model import engine
from workers.llm.decoder import Decoder
from workers.llm.engine import Options
from workers.llm.policies import Rule, resolve

CHUNK = 256


class _Rows:
    """A decoder whose rows hold copies of one prompt's state."""

    def __init__(
        self, name: str, budget: CacheBudget, scenario: Scenario, room: int
    ) -> None:
        self.name = name
        self.clock = CpuClock()
        self._count = scenario.sequences
        self._room = scenario.tokens + room
        self._decoder: Decoder = engine(
            options=Options(
                sequences=scenario.sequences,
                slots=self._room,
                threads=1,
                snapshot_bytes=0,
            )
        ).decoder
        self._rule: Rule = resolve(budget, pinned=[], tokens=self._room, limit=self._room)
        self._position = 0
        self._ids: list[int] = []

    def read(self, prompt: Sequence[int]) -> float:
        """Read a prompt, copy its state, and return the CPU seconds of the reading."""
        clock = CpuClock()
        hidden = torch.empty(0)
        for start in range(0, len(prompt), CHUNK):
            part = list(prompt[start : start + CHUNK])
            hidden = self._decoder.read(part, 0, start, [False] * len(part), self._rule)
        seconds = clock.seconds()
        state = self._decoder.cache.save(0)
        for row in range(1, self._count):
            self._decoder.cache.load(row, state)
        self._position = len(prompt)
        first = int(self._decoder.logits(hidden[-1:]).argmax())
        # Rows go different ways from their second token on.
        self._ids = [(first + row) % 1000 for row in range(self._count)]
        return seconds

    def advance(self, steps: int) -> float:
        """Draw tokens of every row and return CPU seconds."""
        clock = CpuClock()
        for _ in range(steps):
            hidden = self._decoder.decode(
                self._ids,
                list(range(self._count)),
                [self._position] * self._count,
                [self._rule] * self._count,
            )
            self._ids = self._decoder.logits(hidden).argmax(-1).tolist()
            self._position += 1
        return clock.seconds()


def run(
    scenario: Scenario, prompt: Sequence[int], *, rounds: int
) -> Iterator[dict[str, Any]]:
    """Yield a line for the full and for the evicting cache, as `beside.run` does."""
    slots = int(SHARE * scenario.tokens)
    room = scenario.steps * (rounds + 1)
    budgets = {
        "own full": CacheBudget(policy=CachePolicy.FULL, slots=0),
        "own h2o": CacheBudget(policy=CachePolicy.H2O, slots=slots),
    }
    with torch.inference_mode():
        all_rows = [
            _Rows(name, budget, scenario, room) for name, budget in budgets.items()
        ]
        read = [rows.read(prompt) for rows in all_rows]
        seconds: dict[str, list[float]] = {rows.name: [] for rows in all_rows}
        for rows in all_rows:
            rows.advance(2)
        for number in range(rounds):
            for rows in all_rows if number % 2 else all_rows[::-1]:
                seconds[rows.name].append(rows.advance(scenario.steps))
    tokens = scenario.steps * scenario.sequences
    for rows, read_s in zip(all_rows, read, strict=True):
        own = seconds[rows.name]
        yield {
            "scenario": scenario.name,
            "sequences": scenario.sequences,
            "prompt_tokens": scenario.tokens,
            "slots": 0 if rows.name == "own full" else slots,
            "contender": rows.name,
            "copied_prompt": True,
            "read_cpu_s": round(read_s, 3),
            "token_cpu_ms": round(1e3 * sum(own) / (tokens * rounds), 3),
            "rounds_cpu_ms": [round(1e3 * one / tokens, 3) for one in own],
            "tokens": tokens * rounds,
        }
