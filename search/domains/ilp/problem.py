"""Problem of one run: the model that is searched, beside the file that is checked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from search.domains.ilp.verify.checker import Checker
from search.model_files import ModelChoice
from solvers.types import Floats, MilpModel
from trimtab.specs.ilp import IlpSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class IlpProblem:
    """A model that was read, and the process that reads its file exactly."""

    spec: IlpSpec
    model: MilpModel
    workdir: Path
    checker: Checker  # reads the original file by itself
    warm_start: Floats | None = None  # (n,) NaN where the user's file has no value
    notes: tuple[str, ...] = ()  # for the result: rules and choices about this model
    choice: ModelChoice | None = None  # of a fitted policy; None where none was offered
    began: float = field(default_factory=time.monotonic)

    def values_by_name(self, x: Floats) -> dict[str, float]:
        """Map the names of all columns to the values x (n,), integers whole."""
        model, whole = self.model, self.model.integrality
        return {
            model.column_name(j): float(round(value)) if whole[j] else float(value)
            for j, value in enumerate(x.tolist())
        }

    def nonzeros_by_name(self, x: Floats) -> dict[str, float]:
        """Map column names to the values x (n,) that are not 0."""
        return {
            name: value for name, value in self.values_by_name(x).items() if value != 0
        }
