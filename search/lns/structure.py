"""Structure of a model: counts of its variables and row classes, and which arms apply."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from solvers.types import MilpModel


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Counts of variables and rows. Row classes as in MIPLIB; each row is counted once."""

    binaries: int
    general_integers: int
    continuous: int
    covering: int  # ones · x ≥ 1 over binaries
    packing: int  # ones · x ≤ 1
    partitioning: int  # ones · x = 1
    cardinality: int  # ones · x with any other side
    knapsack: int  # integers, other coefficients, one side
    equality: int  # any other equality
    mixed: int  # with continuous variables, inequality
    free: int  # no side at all
    density: float

    @property
    def integers(self) -> int:
        """Number of variables an arm can free."""
        return self.binaries + self.general_integers

    def as_summary(self) -> dict[str, int | float]:
        """Return the counts that are not 0, for a result."""
        return {name: value for name, value in asdict(self).items() if value}


def is_set_cover(model: MilpModel) -> bool:
    """Return True when every row is ones · x ≥ 1 over binaries and all costs are ≥ 0."""
    rows = (model.row_lower == 1).all() and np.isposinf(model.row_upper).all()
    return bool(_ones_over_binaries(model) and rows and (model.c >= 0).all())


def is_set_packing(model: MilpModel) -> bool:
    """Return True when every row is ones · x ≤ 1 over binaries."""
    return bool(
        _ones_over_binaries(model)
        and (model.row_upper == 1).all()
        and (model.row_lower <= 0).all()
    )


def _ones_over_binaries(model: MilpModel) -> bool:
    binary = (
        model.integrality.all()
        and (model.col_lower == 0).all()
        and (model.col_upper == 1).all()
    )
    return bool(binary and (model.data == 1).all())


def structure(model: MilpModel) -> Structure:
    """Count variables by type and classify every row."""
    binary = model.integrality & (model.col_lower >= 0) & (model.col_upper <= 1)
    sizes = np.diff(model.indptr)
    rows = model.row_of_entry

    def all_of(entries: np.ndarray) -> np.ndarray:
        counted: np.ndarray = np.bincount(rows[entries], minlength=model.m) == sizes
        return counted

    ones = all_of((model.data == 1.0) & binary[model.indices])
    whole = all_of(model.integrality[model.indices])
    has_lower, has_upper = np.isfinite(model.row_lower), np.isfinite(model.row_upper)
    free = ~has_lower & ~has_upper
    equal = has_lower & (model.row_lower == model.row_upper)
    cover = ones & has_lower & ~has_upper & (model.row_lower == 1)
    packing = (
        ones & has_upper & (model.row_upper == 1) & (~has_lower | (model.row_lower <= 0))
    )
    partition = ones & equal & (model.row_upper == 1)
    cardinality = ones & ~(cover | packing | partition | free)
    other = ~(ones | free)
    return Structure(
        binaries=int(binary.sum()),
        general_integers=int((model.integrality & ~binary).sum()),
        continuous=int((~model.integrality).sum()),
        covering=int(cover.sum()),
        packing=int(packing.sum()),
        partitioning=int(partition.sum()),
        cardinality=int(cardinality.sum()),
        knapsack=int((other & whole & ~equal).sum()),
        equality=int((other & equal).sum()),
        mixed=int((other & ~whole & ~equal).sum()),
        free=int(free.sum()),
        density=round(model.nnz / max(1, model.n * model.m), 6),
    )
