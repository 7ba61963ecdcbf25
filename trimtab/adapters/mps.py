"""Write a `Draft` as free MPS, in decimals that equal the object's numbers exactly."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal
from pathlib import Path

from trimtab.adapters.draft import Draft, NotCarriedOver, Number, Products, Row

_OBJECTIVE = "OBJ"
# Doubles span 10^±324 with 17 digits; sums and halves of two of them fit.
_EXACT = Context(prec=800)


def write(draft: Draft, path: Path, *, columns: list[str], rows: list[str]) -> None:
    """Write the draft with these names. Raises NotCarriedOver when lines are missing."""
    counts = {"rows": 0, "columns": 0}
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"{line}\n" for line in _lines(draft, columns, rows, counts))
    if counts != {"rows": len(draft.rows), "columns": len(draft.columns)}:
        raise NotCarriedOver(
            f"{draft.source}: expected {len(draft.rows)} rows and {len(draft.columns)} columns "
            f"in the file, got {counts}"
        )


def _lines(
    draft: Draft, columns: list[str], rows: list[str], counts: dict[str, int]
) -> Iterator[str]:
    yield "NAME trimtab"
    if draft.maximize:
        yield from ("OBJSENSE", "    MAX")
    yield from ("ROWS", f" N {_OBJECTIVE}")
    sides: list[str] = []
    ranges: list[str] = []
    for row, name in zip(draft.rows, rows, strict=True):
        kind, side, spread = _sides(row)
        counts["rows"] += 1
        yield f" {kind} {name}"
        if side:
            sides.append(f" RHS {name} {side}")
        if spread:
            ranges.append(f" RNG {name} {spread}")
    yield from _columns(draft, columns, rows, counts)
    yield "RHS"
    if draft.offset:
        yield f" RHS {_OBJECTIVE} {_text(-_decimal(draft.offset))}"
    yield from sides
    if ranges:
        yield "RANGES"
        yield from ranges
    yield "BOUNDS"
    yield from _bounds(draft, columns)
    yield from _products(draft, columns, rows)
    yield from _sets(draft, columns)
    waking = [
        (name, row.indicator)
        for row, name in zip(draft.rows, rows, strict=True)
        if row.indicator is not None
    ]
    if waking:
        yield "INDICATORS"
        yield from (
            f" IF {name} {columns[column]} {value}" for name, (column, value) in waking
        )
    yield "ENDATA"


def _columns(
    draft: Draft, columns: list[str], rows: list[str], counts: dict[str, int]
) -> Iterator[str]:
    entries: list[list[str]] = [[] for _ in columns]
    for row, name in zip(draft.rows, rows, strict=True):
        for column, value in row.terms.items():
            entries[column].append(f"{name} {_text(value)}")
    yield "COLUMNS"
    integer = False
    markers = 0
    for place, (one, name) in enumerate(zip(draft.columns, columns, strict=True)):
        if one.integer != integer:
            integer = one.integer
            markers += 1
            yield f" M{markers} 'MARKER' '{'INTORG' if integer else 'INTEND'}'"
        counts["columns"] += 1
        yield f" {name} {_OBJECTIVE} {_text(draft.objective.get(place, 0))}"
        yield from (f" {name} {entry}" for entry in entries[place])
    if integer:
        yield f" M{markers + 1} 'MARKER' 'INTEND'"


def _sides(row: Row) -> tuple[str, str, str]:
    """Return (type, right-hand side, range); the range is exact in decimals."""
    if row.lower is None:
        return ("L", _text(row.upper), "") if row.upper is not None else ("L", "1e30", "")
    if row.upper is None:
        return "G", _text(row.lower), ""
    if row.lower == row.upper:
        return "E", _text(row.lower), ""
    return (
        "G",
        _text(row.lower),
        _text(_EXACT.subtract(_decimal(row.upper), _decimal(row.lower))),
    )


def _bounds(draft: Draft, columns: list[str]) -> Iterator[str]:
    """Yield both bounds of every variable, so that no reader's default applies."""
    for column, name in zip(draft.columns, columns, strict=True):
        lower, upper = column.lower, column.upper
        yield f" LO BND {name} {_text(lower)}" if lower is not None else f" MI BND {name}"
        if column.semicontinuous:
            kind = "SI" if column.integer else "SC"
            yield f" {kind} BND {name} {'1e30' if upper is None else _text(upper)}"
        else:
            yield (
                f" UP BND {name} {_text(upper)}"
                if upper is not None
                else f" PL BND {name}"
            )


def _products(draft: Draft, columns: list[str], rows: list[str]) -> Iterator[str]:
    """Yield the quadratic sections.

    QUADOBJ has one triangle of Q in ½ xᵀQx; QCMATRIX has both triangles, without the factor ½.
    """
    if draft.products:
        yield "QUADOBJ"
        for (i, j), value in draft.products.items():
            entry = (
                _decimal(value)
                if i != j
                else _EXACT.multiply(_decimal(value), Decimal(2))
            )
            yield f" {columns[i]} {columns[j]} {_text(entry)}"
    for row, name in zip(draft.rows, rows, strict=True):
        if row.products:
            yield f"QCMATRIX {name}"
            yield from _both_triangles(row.products, columns)


def _both_triangles(products: Products, columns: list[str]) -> Iterator[str]:
    for (i, j), value in products.items():
        if i == j:
            yield f" {columns[i]} {columns[i]} {_text(value)}"
            continue
        half = _text(_EXACT.divide(_decimal(value), Decimal(2)))
        yield f" {columns[i]} {columns[j]} {half}"
        yield f" {columns[j]} {columns[i]} {half}"


def _sets(draft: Draft, columns: list[str]) -> Iterator[str]:
    if draft.sets:
        yield "SOS"
    for number, one in enumerate(draft.sets):
        yield f" S{one.kind} s{number}"
        for column, weight in zip(one.columns, one.weights, strict=True):
            yield f" {columns[column]} {_text(weight)}"


def _decimal(value: Number) -> Decimal:
    return Decimal(value) if isinstance(value, int) else Decimal(repr(float(value)))


def _text(value: Number | Decimal) -> str:
    """Return the shortest decimal that equals this number."""
    if isinstance(value, Decimal):
        return str(value.normalize(_EXACT))
    return str(int(value)) if isinstance(value, int) else repr(float(value))
