"""Kind `compile` in which one phase never ends the first time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from search.domains.compile import build as build_compile


class Endless:
    """Domain with one phase that does not return."""

    def __init__(self, phase: str) -> None:
        self._domain, self._phase, self._finishing = build_compile(), phase, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._domain, name)

    def encode(self, problem: Any) -> Any:
        self._wait("encode")
        return self._domain.encode(problem)

    def search(
        self, problem: Any, encoding: Any, stop: Any, rng: Any, report: Any, **start: Any
    ) -> Any:
        def then_wait(point: Any, solution: Any = None) -> None:
            report(point, solution)
            self._wait("search")

        return self._domain.search(problem, encoding, stop, rng, then_wait, **start)

    def verify(self, problem: Any, solution: Any) -> Any:
        self._wait("verify")
        return self._domain.verify(problem, solution)

    def restore(self, problem: Any, data: bytes) -> Any:
        self._finishing = True
        return self._domain.restore(problem, data)

    def baseline(self, problem: Any) -> Any:
        self._finishing = True
        return self._domain.baseline(problem)

    def _wait(self, phase: str) -> None:
        if phase == self._phase and not self._finishing:
            threading.Event().wait()


def __getattr__(name: str) -> Callable[[], Endless]:
    if name not in ("encode", "search", "verify"):
        raise AttributeError(name)
    return lambda: Endless(name)
