"""States of one benchmark: what each pipeline makes of it, measured once and kept. Shared by an environment and its forks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from solvers.llvm.engine import Built, Engine
from solvers.llvm.environment.actions import NOTHING
from solvers.llvm.environment.benchmarks import Benchmark
from solvers.llvm.features import Features
from solvers.llvm.graph import ProgramGraph
from solvers.llvm.types import EngineLimits, Measured, Outcome, Recipe, Sizes, Target

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class PassFailed(Exception):
    """A pipeline crashed, hung or was refused. The message says how."""


class _Recent(Generic[K, V]):
    """The last `size` results of a function."""

    def __init__(self, size: int) -> None:
        self._size, self._kept = size, OrderedDict[K, V]()

    def get(self, key: K, make: Callable[[], V]) -> V:
        if key not in self._kept:
            self._kept[key] = make()
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


class States:
    """A benchmark held by an engine. A state is named by the pipeline that leads to it from the unoptimised module.

    A pipeline is always run from the start and as one text, so that `opt -passes=…` repeats a state exactly; a pass costs
    about a millisecond. `share` and `close` count users: the engine ends with the last one.
    """

    def __init__(
        self, benchmark: Benchmark, *, target: Target, limits: EngineLimits
    ) -> None:
        self.benchmark, self.target, self.limits = benchmark, target, limits
        self.engine = Engine(benchmark.module, target=target, limits=limits)
        self._users = 1
        self._measured = _Recent[tuple[str, bool], Measured](4096)
        self._built = _Recent[str, Built](2)
        self._features = _Recent[str, Features](1024)
        self._graphs = _Recent[str, ProgramGraph](16)

    def share(self) -> States:
        """One more user."""
        self._users += 1
        return self

    def close(self) -> None:
        """One user less; each calls it once."""
        self._users -= 1
        if self._users == 0:
            self.engine.close()

    def measured(self, pipeline: str, *, emit: bool = False) -> Measured:
        """The state's sizes, or how its pipeline failed. `emit`: with those of the object."""
        return self._measured.get(
            (pipeline, emit),
            lambda: self.engine.measure([Recipe(pipeline=pipeline)], emit=emit)[0],
        )

    def sizes(self, pipeline: str, *, emit: bool = False) -> Sizes:
        """The state's sizes. Raises PassFailed."""
        found = self.measured(pipeline, emit=emit)
        if found.outcome is not Outcome.OK or found.sizes is None:
            raise PassFailed(
                f"pipeline {pipeline!r}: {found.outcome.value}. {found.detail}"
            )
        return found.sizes

    def level(self, name: str) -> str:
        """The pipeline of "O0" (nothing), "O3", "Oz" …"""
        return NOTHING if name == "O0" else self.engine.default_pipeline(name)

    def built(self, pipeline: str) -> Built:
        """The state itself. Raises PassFailed."""
        self.sizes(pipeline)
        return self._built.get(
            pipeline, lambda: self.engine.build(Recipe(pipeline=pipeline))
        )

    def features(self, pipeline: str) -> Features:
        """Counts of the state's module. Raises PassFailed."""
        return self._features.get(
            pipeline, lambda: self._in_engine(pipeline, Engine.features)
        )

    def graph(self, pipeline: str) -> ProgramGraph:
        """Program graph of the state's module. Raises PassFailed."""
        return self._graphs.get(pipeline, lambda: self._in_engine(pipeline, Engine.graph))

    def _in_engine(self, pipeline: str, observe: Callable[[Engine], V]) -> V:
        if pipeline == NOTHING:
            return observe(self.engine)
        bitcode = self.built(pipeline).bitcode
        with Engine(bitcode, target=self.target, limits=self.limits) as engine:
            return observe(engine)
