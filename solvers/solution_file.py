"""Solution files in the text formats of the solvers: a name and a value per line.

It reads `.sol` of MIPLIB and SCIP (`=obj= 174`, `x12 1 (obj:3)`), of HiGHS (`# Columns 3`, the
columns, `# Rows`), `.sol`/`.mst` of Gurobi (`# comment`, `x12 1`), and of CBC, where a number
stands before each name (`Optimal - objective value 174`, `0 x12 1 3`). XML of CPLEX is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from solvers.errors import ModelError
from solvers.types import Floats, MilpModel

MAX_BYTES = 256 << 20
_STATEMENTS = (
    "solution status",
    "objective value",
    "objective",
    "=obj=",
    "model status",
    "primal solution",
    "dual solution",
)

# The first line of CBC, e.g. "Stopped on time - objective value 12.00000000".
_OF_CBC = re.compile(r"^[A-Za-z ]+ - objective value\b")


def read_solution(path: Path, model: MilpModel, *, name: str = "") -> Floats:
    """Read values by column, (n,); NaN for columns the file does not name.

    Raises ModelError for files that are too large or not text, for values that are not finite and
    for names that the model does not have.
    """
    shown = name or path.name
    column = {model.column_name(j): j for j in range(model.n)}
    values = np.full(model.n, np.nan)
    unknown: list[str] = []
    for column_name, value in _entries(_text(path, shown), shown):
        j = column.get(column_name)
        if j is None:
            unknown.append(column_name)
        else:
            values[j] = value
    if unknown:
        few = ", ".join(repr(n[:40]) for n in unknown[:3])
        raise ModelError(
            f"{shown} names {len(unknown)} column{'' if len(unknown) == 1 else 's'} that the "
            f"model does not have ({few}); "
            "is it of another model?"
        )
    if bool(np.isnan(values).all()) and model.n:
        raise ModelError(
            f"{shown}: expected lines of a name and a value, got no column of the model"
        )
    return values


def _text(path: Path, shown: str) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ModelError(
            f"{shown}: expected a solution file of at most {MAX_BYTES:,} bytes, got {size:,}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{shown} is no text ({error.reason}); expected lines of a name and a value"
        ) from error
    if text.lstrip().startswith("<"):
        raise ModelError(
            f"{shown} is XML; expected plain lines of a column's name and its value "
            "(.sol or .mst)"
        )
    return text


def _entries(text: str, shown: str) -> Iterator[tuple[str, float]]:
    """Yield the name and value of each column, up to the rows or the dual solution."""
    of_cbc = _OF_CBC.match(text) is not None
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        lowered = stripped.lower()
        if lowered.startswith(("# rows", "# dual")):
            return
        if (
            not stripped
            or stripped.startswith("#")
            or lowered.startswith(_STATEMENTS)
            or (of_cbc and number == 1)
            or lowered in ("optimal", "feasible")
        ):
            continue
        words = stripped.split()
        if of_cbc:  # "**" marks a violated column; its number is before the name
            words = words[2 if words[0] == "**" else 1 :]
        if len(words) < 2:
            raise ModelError(
                f"{shown}, line {number}: expected a column's name and its value, "
                f"got {stripped[:80]!r}"
            )
        try:
            value = float(words[1])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ModelError(
                f"{shown}, line {number}: expected a finite number, got {words[1][:40]!r}"
            )
        yield words[0], value
