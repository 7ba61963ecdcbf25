"""Measurements of a few modules, kept in a file: a run that is repeated replays them.

A mining run is deterministic given its seed and the sizes it measures. A rerun of the same command
therefore makes the same decisions without LLVM until it reaches what was never measured; so it
resumes after any interruption, and no state of the search has to be saved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from solvers.llvm.engine import Engine
from solvers.llvm.install import find_llvm
from solvers.llvm.types import EngineLimits, Measured, Outcome, Recipe, Sizes

FILE = "measured.jsonl"
_CANDIDATE_S = 10.0
_DIGITS = 16  # of a digest in the file: short, as a file holds thousands


@dataclass(frozen=True, kw_only=True)
class OwnModule:
    """A module of the user's: bitcode as `clang -Oz` gives it to its passes."""

    name: str
    bitcode: bytes

    @cached_property
    def sha256(self) -> str:
        """Hash of the bitcode, hex."""
        return hashlib.sha256(self.bitcode).hexdigest()


class MeasurementLog:
    """Sizes by (module, recipe) of one LLVM build, appended to `folder`/measured.jsonl."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        self.build = find_llvm().build_id
        self._sizes: dict[tuple[str, str], tuple[int, int, int] | None] = {}
        self.replayed = 0
        text = self._path.read_text() if self._path.is_file() else ""
        # A last line without its end was being written when the run ended.
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self._path.write_text(whole)
        for line in whole.splitlines():
            build, module, recipe, sizes = json.loads(line)
            if build == self.build:
                self._sizes[module, recipe] = None if sizes is None else tuple(sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def get(self, module: str, recipe: Recipe) -> Measured | None:
        """Return what was measured before; None when nothing was."""
        key = (module[:_DIGITS], recipe.digest[:_DIGITS])
        if key not in self._sizes:
            return None
        self.replayed += 1
        found = self._sizes[key]
        if found is None:
            return Measured(recipe=recipe, outcome=Outcome.CRASHED, seconds=0.0)
        ir, code, loadable = found
        sizes = Sizes(ir_instructions=ir, code_bytes=code, loadable_bytes=loadable)
        return Measured(recipe=recipe, outcome=Outcome.OK, seconds=0.0, sizes=sizes)

    def add(self, module: str, measured: Measured) -> None:
        """Keep a measurement; a recipe that made no program is kept as such."""
        sizes = measured.sizes if measured.outcome is Outcome.OK else None
        row = (
            None
            if sizes is None
            else (sizes.ir_instructions, sizes.code_bytes, sizes.loadable_bytes)
        )
        key = (module[:_DIGITS], measured.recipe.digest[:_DIGITS])
        self._sizes[key] = row
        with self._path.open("a") as out:
            out.write(json.dumps([self.build, *key, row], separators=(",", ":")) + "\n")


class ReplayEngine:
    """Engine of one module that asks the log first and starts LLVM at the first new recipe."""

    def __init__(self, module: OwnModule, log: MeasurementLog) -> None:
        self.module, self._log = module, log
        self._engine: Engine | None = None

    def measure(self, recipes: Sequence[Recipe]) -> list[Measured]:
        """Return the result of every recipe, in order. Raises BadModule or EngineDied."""
        return [self._one(recipe) for recipe in recipes]

    def default_pipelines(self) -> Mapping[str, str]:
        """Return the default pipelines by level."""
        return self.engine.default_pipelines()

    @property
    def engine(self) -> Engine:
        """LLVM's process for the module, started when first used."""
        if self._engine is None:
            limits = EngineLimits(candidate_s=_CANDIDATE_S)
            self._engine = Engine(self.module.bitcode, limits=limits)
        return self._engine

    def close(self) -> None:
        """End LLVM's process."""
        if self._engine is not None:
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _one(self, recipe: Recipe) -> Measured:
        before = self._log.get(self.module.sha256, recipe)
        if before is not None:
            return before
        (measured,) = self.engine.measure([recipe])
        self._log.add(self.module.sha256, measured)
        return measured
