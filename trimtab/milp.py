"""Model objects of other packages as files. Imports none: the object brings its own package.

| object | source of the conversion |
|---|---|
| `highspy.Highs` | its LP, Hessian and types |
| `pyscipopt.Model` | its original variables and constraints, handler by handler |
| OR-Tools `pywraplp.Solver`, `model_builder.Model`, `MPModelProto` | the MPModelProto |
| OR-Tools MathOpt `Model`, `ModelProto` | the ModelProto |
| OR-Tools CP-SAT `CpModel`, `CpModelProto` | its constraints, as linear rows where that is exact |
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimtab.adapters import Carried


def carry_over(
    model: Any, path: Path | None = None, *, warm_start: Any = None
) -> Carried:
    """Write `model` as MPS, with its warm start and the map back to its variables.

    Without a path, the file is temporary and removed when the interpreter ends. Raises TypeError
    for an object that is none of the above, and NotCarriedOver (a ValueError) for a part that
    cannot be converted exactly.
    """
    from trimtab.adapters import carry

    folder = Path(tempfile.mkdtemp(prefix="trimtab-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return carry(model, folder, file=path, warm_start=warm_start)


def write_model(model: Any, path: Path | None = None) -> Path:
    """Write `model` as MPS and return the file. See `carry_over`."""
    return carry_over(model, path).model
