"""Real kinds whose process dies by SIGKILL in a phase.

`tests.chaos.dying:ilp_verify` is the kind ilp that dies in verify.

They die once: the process that restores what was reported lives on.
"""

from __future__ import annotations

import importlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from search.kinds import KINDS


class Dying:
    """A domain with the phase in which its process dies."""

    def __init__(self, domain: Any, phase: str) -> None:
        self._domain, self._phase, self._restored = domain, phase, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._domain, name)

    def encode(self, problem: Any) -> Any:
        self._die("encode")
        return self._domain.encode(problem)

    def search(
        self,
        problem: Any,
        encoding: Any,
        stop: Any,
        rng: Any,
        on_incumbent: Any,
        **start: Any,
    ) -> Any:
        def report(point: Any, solution: Callable[[], Any] | None = None) -> None:
            on_incumbent(point, solution)
            if solution is not None:
                time.sleep(0.02)
                self._die("search")

        return self._domain.search(problem, encoding, stop, rng, report, **start)

    def verify(self, problem: Any, solution: Any) -> Any:
        self._die("verify")
        return self._domain.verify(problem, solution)

    def produce(self, problem: Any, solution: Any, workdir: Any) -> Any:
        self._die("produce")
        return self._domain.produce(problem, solution, workdir)

    def restore(self, problem: Any, data: bytes) -> Any:
        self._restored = True
        return self._domain.restore(problem, data)

    def baseline(self, problem: Any) -> Any:
        self._restored = True
        return self._domain.baseline(problem)

    def _die(self, phase: str) -> None:
        if phase == self._phase and not self._restored:
            os.kill(os.getpid(), signal.SIGKILL)


def __getattr__(name: str) -> Callable[[], Dying]:
    kind, _, phase = name.partition("_")
    if kind not in KINDS:
        raise AttributeError(name)

    def build() -> Dying:
        module, _, function = KINDS[kind].builder.partition(":")
        return Dying(getattr(importlib.import_module(module), function)(), phase)

    return build
