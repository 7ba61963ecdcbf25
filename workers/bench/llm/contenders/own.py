"""Our engine, driven by hand, one thread."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import torch

from search.text_model import CacheBudget, CachePolicy, Sampling
from workers.bench.llm.contenders.loop import reply_stream, serve
from workers.bench.llm.model import engine
from workers.llm.engine import Options
from workers.llm.handle import Handle


class Own:
    """The engine with one policy for all sequences."""

    def __init__(self, *, setup: Mapping[str, Any]) -> None:
        """Load the embedded model. `slots` 0: the full cache."""
        slots, context = setup["slots"], setup["context"]
        self._engine = engine(
            options=Options(
                sequences=setup["sequences"],
                slots=slots or context,
                threads=1,
                snapshot_bytes=0,
            ),
            dtype=getattr(torch, setup.get("dtype", "bfloat16")),
        )
        self._budget = CacheBudget(
            policy=CachePolicy(setup["policy"]) if slots else CachePolicy.FULL,
            slots=slots or context,
        )
        self._context = context
        self._handles: list[Handle] = []

    def read(self, prompts: list[list[int]]) -> int:
        """Read prompts until each has drawn a token."""
        self._handles = [
            self._engine.submit_tokens(
                prompt,
                [False] * len(prompt),
                Sampling(max_tokens=self._context - len(prompt)),
                self._budget,
            )
            for prompt in prompts
        ]
        drawn = [0] * len(prompts)
        while min(drawn) == 0:
            self._engine.step()
            drawn = [a + b for a, b in zip(drawn, self._taken(), strict=True)]
        return sum(drawn)

    def advance(self, steps: int) -> int:
        """Make steps of all sequences."""
        for _ in range(steps):
            self._engine.step()
        return sum(self._taken())

    def _taken(self) -> list[int]:
        return [len(handle.take()) for handle in self._handles]


if __name__ == "__main__":
    stream = reply_stream()
    serve(Own(setup=json.loads(sys.argv[1])), stream)
