"""llama.cpp as the package `xllamacpp`: its server in this process, one thread.

A prompt stays in its slot, so that each order reads its last token alone and then draws.
"""

from __future__ import annotations

import json
import sys
import threading
from importlib import import_module
from typing import Any

from workers.bench.llm.contenders.loop import reply_stream, serve


class LlamaCpp:
    """Full key-value cache; `llama.cpp` has no eviction by attention."""

    def __init__(self, *, model: str, sequences: int, context: int) -> None:
        """Load a GGUF file."""
        rival = import_module("xllamacpp")
        params = rival.CommonParams()
        params.model.path = model
        params.n_ctx = sequences * context
        params.n_parallel = sequences
        params.cpuparams.n_threads = 1
        params.cpuparams_batch.n_threads = 1
        params.warmup = False
        self._server = rival.Server(params)
        self._prompts: list[list[int]] = []

    def read(self, prompts: list[list[int]]) -> int:
        """Read prompts into slots."""
        self._prompts = prompts
        return self.advance(1)

    def advance(self, steps: int) -> int:
        """Draw `steps` tokens after every prompt, all sequences at once."""
        counts: list[int] = []
        calls = [
            threading.Thread(target=self._complete, args=(slot, steps, counts))
            for slot in range(len(self._prompts))
        ]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        if len(counts) < len(calls):
            raise RuntimeError("xllamacpp: a completion failed; see its log")
        return sum(counts)

    def _complete(self, slot: int, steps: int, counts: list[int]) -> None:
        answer: Any = self._server.handle_completions(
            {
                "prompt": self._prompts[slot],
                "max_tokens": steps,
                "temperature": 0,
                "ignore_eos": True,
                "cache_prompt": True,
                "id_slot": slot,
            }
        )
        if isinstance(answer, (str, bytes)):
            answer = json.loads(answer)
        counts.append(int(answer["usage"]["completion_tokens"]))


if __name__ == "__main__":
    stream = reply_stream()
    setup = json.loads(sys.argv[1])
    serve(
        LlamaCpp(
            model=setup["model"],
            sequences=setup["sequences"],
            context=setup["context"],
        ),
        stream,
    )
