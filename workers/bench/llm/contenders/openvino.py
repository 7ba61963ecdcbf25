"""OpenVINO GenAI: its continuous batching, one thread, with or without its cache eviction."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

from workers.bench.llm.contenders.loop import reply_stream, serve

BLOCK = 32
"""Tokens that its cache holds and evicts together."""


class OpenVino:
    """Full cache, or its own eviction: start, evictable and recent areas by summed attention."""

    def __init__(self, *, model: str, context: int, sequences: int, slots: int) -> None:
        """Load a GGUF file; `slots` 0: no eviction."""
        self._rival = import_module("openvino_genai")
        self._numpy = import_module("numpy")
        scheduler = self._rival.SchedulerConfig()
        scheduler.max_num_batched_tokens = 512
        scheduler.cache_size = 1 + sequences * context // 20_000  # GB
        if slots:
            blocks = slots // BLOCK
            scheduler.use_cache_eviction = True
            scheduler.cache_eviction_config = self._rival.CacheEvictionConfig(
                BLOCK,
                (blocks - 1) // 2 * BLOCK,
                blocks * BLOCK,
                self._rival.AggregationMode.NORM_SUM,
            )
        self._pipeline = self._rival.ContinuousBatchingPipeline(
            model, scheduler, "CPU", {"INFERENCE_NUM_THREADS": 1}
        )
        self._handles: list[Any] = []

    def read(self, prompts: list[list[int]]) -> int:
        """Read prompts until each has drawn a token."""
        config = self._rival.GenerationConfig()
        config.max_new_tokens = 100_000
        config.ignore_eos = True
        config.do_sample = False
        tensor = import_module("openvino").Tensor
        self._handles = [
            self._pipeline.add_request(
                number, tensor(self._numpy.array([prompt], dtype="int64")), config
            )
            for number, prompt in enumerate(prompts)
        ]
        drawn = [0] * len(prompts)
        while min(drawn) == 0:
            drawn = [a + b for a, b in zip(drawn, self._step(), strict=True)]
        return sum(drawn)

    def advance(self, steps: int) -> int:
        """Make steps of all sequences."""
        return sum(sum(self._step()) for _ in range(steps))

    def _step(self) -> list[int]:
        """Make one step; return the tokens that each sequence drew."""
        self._pipeline.step()
        return [
            sum(len(output.generated_ids) for output in handle.read().values())
            if handle.can_read()
            else 0
            for handle in self._handles
        ]


if __name__ == "__main__":
    stream = reply_stream()
    setup = json.loads(sys.argv[1])
    serve(
        OpenVino(
            model=setup["model"],
            context=setup["context"],
            sequences=setup["sequences"],
            slots=setup.get("slots", 0),
        ),
        stream,
    )
