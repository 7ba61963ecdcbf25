"""Models as text for tests of readers: an MPS skeleton, an LP text, and a writer of models."""

from __future__ import annotations

import math

from solvers.types import MilpModel

COLUMNS = """ x obj 1 r1 2
 x r2 1
 M1 'MARKER' 'INTORG'
 y obj -1 r1 1
 z r3 3 r1 1
 M2 'MARKER' 'INTEND'
 w r3 1
"""


def mps(
    *,
    columns: str = COLUMNS,
    rhs: str = "",
    ranges: str = "",
    bounds: str = "",
    before: str = "",
    rows: str = "",
    after: str = "",
) -> str:
    """Rows r1 ≤, r2 ≥, r3 =; columns x, y and z (integer), w."""
    return (
        f"NAME T\n{before}ROWS\n N obj\n L r1\n G r2\n E r3\n{rows}COLUMNS\n{columns}RHS\n{rhs}"
        + (f"RANGES\n{ranges}" if ranges else "")
        + (f"BOUNDS\n{bounds}" if bounds else "")
        + f"{after}ENDATA\n"
    )


def lp(
    *,
    row: str = "c1: x + y <= 10",
    objective: str = "obj: x + 2 y - 3 z + 4",
    after: str = "",
) -> str:
    """Three rows over x, y, z."""
    return (
        f"Minimize\n {objective}\nSubject To\n {row}\n c2: x - z >= -2\n"
        f" c3: y + z = 7\n{after}End\n"
    )


def write_mps(model: MilpModel) -> str:
    """The model as free MPS with variables C1, … and rows R1, …; numbers in full."""

    def number(value: float) -> str:
        return repr(float(value))

    lines = [
        "NAME written",
        *(["OBJSENSE", "    MAX"] if model.maximize else []),
        "ROWS",
        " N cost",
    ]
    sign = -1.0 if model.maximize else 1.0
    kinds, rhs, ranges = [], [], []
    for row, (low, high) in enumerate(
        zip(model.row_lower.tolist(), model.row_upper.tolist(), strict=True)
    ):
        name = f"R{row + 1}"
        if low == high:
            kind, side = "E", low
        elif low == -math.inf:
            kind, side = ("L", high) if high < math.inf else ("L", 1e30)
        else:
            kind, side = "G", low
            if high < math.inf:
                ranges.append(f" RNG {name} {number(high - low)}")
        kinds.append(f" {kind} {name}")
        rhs.append(f" RHS {name} {number(side)}")
    lines += [*kinds, "COLUMNS"]
    by_column: list[list[str]] = [[] for _ in range(model.n)]
    for row, column, value in zip(
        model.row_of_entry.tolist(),
        model.indices.tolist(),
        model.data.tolist(),
        strict=True,
    ):
        by_column[column].append(f" C{column + 1} R{row + 1} {number(value)}")
    for column in range(model.n):
        if model.integrality[column]:
            lines.append(f" M{column} 'MARKER' 'INTORG'")
        lines.append(f" C{column + 1} cost {number(sign * model.c[column])}")
        lines += by_column[column]
        if model.integrality[column]:
            lines.append(f" N{column} 'MARKER' 'INTEND'")
    lines += ["RHS", *rhs, f" RHS cost {number(-sign * model.offset)}"]
    lines += ["RANGES", *ranges] if ranges else []
    lines.append("BOUNDS")
    for column, (low, high) in enumerate(
        zip(model.col_lower.tolist(), model.col_upper.tolist(), strict=True)
    ):
        lines.append(
            f" LO BND C{column + 1} {number(low)}"
            if low > -math.inf
            else f" MI BND C{column + 1}"
        )
        lines.append(
            f" UP BND C{column + 1} {number(high)}"
            if high < math.inf
            else f" PL BND C{column + 1}"
        )
    return "\n".join([*lines, "ENDATA", ""])
