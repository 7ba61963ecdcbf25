"""Solution files in the plain text forms of the solvers: a name and a value a line.

Read are MIPLIB's and SCIP's `.sol` (`=obj= 174`, `x12 1 (obj:3)`), HiGHS' (`# Columns 3`, the columns, `# Rows`) and Gurobi's
`.sol`/`.mst` (`# comment`, `x12 1`). CPLEX's XML is refused with a sentence.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from solvers.errors import ModelError
from solvers.types import Floats, MilpModel

MAX_BYTES = 256 << 20
_SAID = (
    "solution status",
    "objective value",
    "objective",
    "=obj=",
    "model status",
    "primal solution",
    "dual solution",
)


def read_solution(path: Path, model: MilpModel, *, name: str = "") -> Floats:
    """(n,) values by column; NaN for columns the file does not name.

    Raises ModelError: too large, no text, a value that is no finite number, names the model does not have.
    """
    shown = name or path.name
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(
            f"{shown} has {path.stat().st_size:,} bytes; a solution file may have {MAX_BYTES:,}"
        )
    column = {model.column_name(j): j for j in range(model.n)}
    values = np.full(model.n, np.nan)
    unknown: list[str] = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{shown} is no text ({error.reason}); wanted lines of a name and a value"
        ) from error
    if text.lstrip().startswith("<"):
        raise ModelError(
            f"{shown} is XML; wanted plain lines of a column's name and its value (.sol or .mst)"
        )
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        lowered = stripped.lower()
        if lowered.startswith("# rows") or lowered.startswith("# dual"):
            break
        if (
            not stripped
            or stripped.startswith("#")
            or lowered.startswith(_SAID)
            or lowered in ("optimal", "feasible")
        ):
            continue
        parts = stripped.split()
        if len(parts) < 2:
            raise ModelError(
                f"{shown}, line {number}: {stripped[:80]!r} came; wanted a column's name and its value"
            )
        try:
            value = float(parts[1])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ModelError(
                f"{shown}, line {number}: the value {parts[1][:40]!r} came; wanted a finite number"
            )
        j = column.get(parts[0])
        if j is None:
            unknown.append(parts[0])
        else:
            values[j] = value
    if unknown:
        few = ", ".join(repr(n[:40]) for n in unknown[:3])
        raise ModelError(
            f"{shown} names {len(unknown)} columns that the model does not have ({few}); is it of another model?"
        )
    if bool(np.isnan(values).all()) and model.n:
        raise ModelError(
            f"{shown} names no column of the model; wanted lines of a name and a value"
        )
    return values
