"""Writer of free MPS files, for models that the laboratory makes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from solvers.types import MilpModel


def write_mps(model: MilpModel, path: Path) -> None:
    """Write a linear model, in the author's sense, with columns x0, x1, … and rows r0, r1, …

    Raises ValueError for a model with parts that are not linear or with an offset.
    """
    if model.extras is not None or model.offset:
        raise ValueError(
            "model: expected a linear model without offset; write others by hand"
        )
    with path.open("w") as file:
        file.write(f"NAME {model.name or 'model'}\n")
        if model.maximize:
            file.write("OBJSENSE\n    MAX\n")
        file.write("ROWS\n N cost\n")
        file.writelines(f" {kind} r{i}\n" for i, kind in enumerate(_kinds(model)))
        file.write("COLUMNS\n")
        file.writelines(_columns(model))
        file.write("RHS\n")
        file.writelines(_sides(model))
        file.write("BOUNDS\n")
        file.writelines(_bounds(model))
        file.write("ENDATA\n")


def _kinds(model: MilpModel) -> list[str]:
    lower, upper = model.row_lower, model.row_upper
    one_sided = np.where(np.isfinite(upper), "L", np.where(np.isfinite(lower), "G", "N"))
    kinds: list[str] = np.where(lower == upper, "E", one_sided).tolist()
    return kinds


def _columns(model: MilpModel) -> Iterator[str]:
    by_column = model.matrix.tocsc()
    blocks = groupby(range(model.n), key=model.integrality.__getitem__)
    for number, (integer, group) in enumerate(blocks):
        if integer:
            yield f" M{number} 'MARKER' 'INTORG'\n"
        for j in group:
            yield f" x{j} cost {_number(model.in_user_sense(float(model.c[j])))}\n"
            span = slice(by_column.indptr[j], by_column.indptr[j + 1])
            rows, values = by_column.indices[span], by_column.data[span]
            for i, value in zip(rows.tolist(), values.tolist(), strict=True):
                yield f" x{j} r{i} {_number(value)}\n"
        if integer:
            yield f" N{number} 'MARKER' 'INTEND'\n"


def _sides(model: MilpModel) -> Iterator[str]:
    """Return the lines of RHS, and of RANGES for rows with two different sides."""
    pairs = list(zip(model.row_lower.tolist(), model.row_upper.tolist(), strict=True))
    for i, (lower, upper) in enumerate(pairs):
        side = upper if math.isfinite(upper) else lower
        if math.isfinite(side):
            yield f" RHS r{i} {_number(side)}\n"
    two = [
        (i, upper - lower)
        for i, (lower, upper) in enumerate(pairs)
        if math.isfinite(upper - lower) and lower != upper
    ]
    if two:
        yield "RANGES\n"
        yield from (f" RNG r{i} {_number(width)}\n" for i, width in two)


def _bounds(model: MilpModel) -> Iterator[str]:
    bounds = zip(
        model.integrality.tolist(),
        model.col_lower.tolist(),
        model.col_upper.tolist(),
        strict=True,
    )
    for j, (integer, lower, upper) in enumerate(bounds):
        if integer and (lower, upper) == (0, 1):
            yield f" BV BND x{j}\n"
        elif lower == upper:
            yield f" FX BND x{j} {_number(lower)}\n"
        elif integer or (lower, upper) != (0, math.inf):
            yield (
                f" LO BND x{j} {_number(lower)}\n"
                if math.isfinite(lower)
                else f" MI BND x{j}\n"
            )
            yield (
                f" UP BND x{j} {_number(upper)}\n"
                if math.isfinite(upper)
                else f" PL BND x{j}\n"
            )


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
