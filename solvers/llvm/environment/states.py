"""Cached states of one benchmark, shared by an environment and its forks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from solvers.llvm.engine import Built, Engine
from solvers.llvm.environment.actions import NOTHING
from solvers.llvm.environment.benchmarks import Benchmark
from solvers.llvm.features import Features
from solvers.llvm.graph import ProgramGraph
from solvers.llvm.types import EngineLimits, Measured, Outcome, Recipe, Sizes, Target

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Target and limits of an environment's engines."""

    target: Target = field(default_factory=Target)
    limits: EngineLimits = field(default_factory=EngineLimits)


class PassFailed(Exception):
    """A pipeline crashed, timed out or was refused; the message has LLVM's own."""


class _Recent(Generic[K, V]):
    """Cache of the `size` most recently used results."""

    def __init__(self, size: int) -> None:
        self._size, self._results = size, OrderedDict[K, V]()

    def get(self, key: K, make: Callable[[], V]) -> V:
        if key not in self._results:
            self._results[key] = make()
            if len(self._results) > self._size:
                self._results.popitem(last=False)
        self._results.move_to_end(key)
        return self._results[key]


class States:
    """Engine on one benchmark, with cached results.

    The key of a state is the pipeline that makes it from the unoptimised module. A pipeline always
    runs from the start and as one text, so that `opt -passes=…` repeats a state exactly; a pass
    takes about a millisecond. `share` and `close` count users: the last one closes the engine.
    """

    def __init__(self, benchmark: Benchmark, settings: EngineSettings) -> None:
        self.benchmark, self.settings = benchmark, settings
        self.engine = self._open(benchmark.module)
        self._users = 1
        self._measured = _Recent[tuple[str, bool], Measured](4096)
        self._built = _Recent[str, Built](2)
        self._features = _Recent[str, Features](1024)
        self._graphs = _Recent[str, ProgramGraph](16)

    def share(self) -> States:
        """Add a user."""
        self._users += 1
        return self

    def close(self) -> None:
        """Remove a user; each calls this once."""
        self._users -= 1
        if self._users == 0:
            self.engine.close()

    def measured(self, pipeline: str, *, emit: bool = False) -> Measured:
        """Return the result of a pipeline; with the sizes of its object when `emit` is true."""
        return self._measured.get(
            (pipeline, emit),
            lambda: self.engine.measure([Recipe(pipeline=pipeline)], emit=emit)[0],
        )

    def sizes(self, pipeline: str, *, emit: bool = False) -> Sizes:
        """Return the state's sizes. Raises PassFailed."""
        result = self.measured(pipeline, emit=emit)
        if result.outcome is not Outcome.OK or result.sizes is None:
            raise PassFailed(
                f"pipeline {pipeline!r}: {result.outcome.value}. {result.detail}"
            )
        return result.sizes

    def level(self, name: str) -> str:
        """Return the pipeline of a level: "O0" (no passes), "O3", "Oz" …"""
        return NOTHING if name == "O0" else self.engine.default_pipeline(name)

    def built(self, pipeline: str) -> Built:
        """Return the state's module and object. Raises PassFailed."""
        self.sizes(pipeline)
        return self._built.get(
            pipeline, lambda: self.engine.build(Recipe(pipeline=pipeline))
        )

    def features(self, pipeline: str) -> Features:
        """Return the feature vectors of the state's module. Raises PassFailed."""
        return self._features.get(
            pipeline, lambda: self._in_engine(pipeline, Engine.features)
        )

    def graph(self, pipeline: str) -> ProgramGraph:
        """Return the program graph of the state's module. Raises PassFailed."""
        return self._graphs.get(pipeline, lambda: self._in_engine(pipeline, Engine.graph))

    def _in_engine(self, pipeline: str, observe: Callable[[Engine], V]) -> V:
        if pipeline == NOTHING:
            return observe(self.engine)
        bitcode = self.built(pipeline).bitcode
        with self._open(bitcode) as engine:
            return observe(engine)

    def _open(self, module: bytes) -> Engine:
        return Engine(module, target=self.settings.target, limits=self.settings.limits)
