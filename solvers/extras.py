"""Parts of a model beyond linear rows over continuous and integer variables.

Without its extras a `MilpModel` is a relaxation: linear rows and bounds hold anyway, and extras
only cut points off (a quadratic objective is added to the linear one). In the model the bounds of
semi-continuous columns include 0; the points between 0 and their own bounds are cut off here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class QuadraticForm:
    """Σ values · x[first] · x[second]: each product once, first ≤ second."""

    first: Ints  # (q,)
    second: Ints  # (q,)
    values: Floats  # (q,)

    def of(self, x: Floats) -> float:
        """Return the value at x (n,)."""
        return float(np.sum(self.values * x[self.first] * x[self.second]))


@dataclass(frozen=True, kw_only=True)
class SpecialRow:
    """A row lower ≤ values·x[columns] + quadratic(x) ≤ upper.

    With an indicator it holds only while the binary has the value `active_at`.
    """

    name: str
    columns: Ints
    values: Floats
    lower: float
    upper: float
    quadratic: QuadraticForm | None = None
    binary: int | None = None  # column of the indicator
    active_at: int = 1

    def violation(self, x: Floats) -> float:
        """Return the violation at x, relative to max(1, |side|)."""
        if self.binary is not None and round(float(x[self.binary])) != self.active_at:
            return 0.0
        activity = float(self.values @ x[self.columns]) + (
            self.quadratic.of(x) if self.quadratic else 0.0
        )
        return max(
            _beyond(self.lower, self.lower - activity),
            _beyond(self.upper, activity - self.upper),
        )


@dataclass(frozen=True, kw_only=True)
class OrderedSet:
    """A SOS set: at most `kind` (1 or 2) columns are nonzero, and two must be neighbours.

    Columns are ordered by weight.
    """

    name: str
    kind: int
    columns: Ints
    weights: Floats

    def violation(self, x: Floats) -> float:
        """Return the largest value that must become 0, for the best choice of those that stay."""
        size = np.abs(x[self.columns])
        if len(size) <= self.kind:
            return 0.0
        # before[p]: the largest of the first p; after[p]: the largest from p on. A window of `kind`
        # neighbours stays.
        before = np.concatenate(([0.0], np.maximum.accumulate(size)))
        after = np.concatenate((np.maximum.accumulate(size[::-1])[::-1], [0.0]))
        windows = len(size) - self.kind + 1
        return float(np.maximum(before[:windows], after[self.kind :]).min())


@dataclass(frozen=True, kw_only=True)
class SemiColumn:
    """A semi-continuous column: 0 or within [lower, upper]."""

    column: int
    lower: float
    upper: float

    def violation(self, x: Floats) -> float:
        """Return the distance to 0 or to the bounds, relative to max(1, |bound|)."""
        value = float(x[self.column])
        outside = max(
            _beyond(self.lower, self.lower - value),
            _beyond(self.upper, value - self.upper),
        )
        return min(abs(value), outside)


@dataclass(frozen=True, kw_only=True)
class Extras:
    """All parts of a model that are not linear."""

    objective: QuadraticForm | None = None
    rows: tuple[SpecialRow, ...] = ()
    sets: tuple[OrderedSet, ...] = ()
    semi: tuple[SemiColumn, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Descriptions of the parts, for messages; empty when there is none."""
        quadratic = sum(row.quadratic is not None for row in self.rows)
        indicators = sum(row.binary is not None for row in self.rows)
        counts = (
            (quadratic, "quadratic row"),
            (indicators, "indicator row"),
            (len(self.sets), "SOS set"),
            (len(self.semi), "semi-continuous or semi-integer variable"),
        )
        parts = [
            f"{count} {noun}{'' if count == 1 else 's'}"
            for count, noun in counts
            if count
        ]
        return (
            *(["a quadratic objective"] if self.objective is not None else []),
            *parts,
        )

    def violation(self, x: Floats) -> float:
        """Return the largest relative violation of all parts."""
        of_rows = [row.violation(x) for row in self.rows]
        of_sets = [one.violation(x) for one in self.sets]
        return max([0.0, *of_rows, *of_sets, *(part.violation(x) for part in self.semi)])

    def as_json(self) -> dict[str, Any]:
        """Return the parts as lists and numbers, for `from_json`."""

        def plain(part: object) -> Any:
            if isinstance(part, np.ndarray):
                return part.tolist()
            if isinstance(part, tuple):
                return [plain(each) for each in part]
            return (
                {f.name: plain(getattr(part, f.name)) for f in fields(part)}
                if is_dataclass(part)
                else part
            )

        return {f.name: plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Extras:
        """Rebuild the parts from `as_json`."""
        return cls(
            objective=_form(data["objective"]),
            rows=tuple(
                SpecialRow(
                    **row
                    | {"columns": _ints(row["columns"]), "values": _floats(row["values"])}
                    | {"quadratic": _form(row["quadratic"])}
                )
                for row in data["rows"]
            ),
            sets=tuple(
                OrderedSet(
                    **one
                    | {
                        "columns": _ints(one["columns"]),
                        "weights": _floats(one["weights"]),
                    }
                )
                for one in data["sets"]
            ),
            semi=tuple(SemiColumn(**one) for one in data["semi"]),
        )

    def tidied(self, x: Floats, *, within: float = 1e-6) -> Floats:
        """Return x with tiny values of SOS members and semi-continuous columns set to 0.

        Solvers treat values up to 1e-6 as 0.
        """
        columns = [part.column for part in self.semi]
        columns += [int(column) for part in self.sets for column in part.columns]
        y = x.copy()
        y[[column for column in set(columns) if abs(x[column]) <= within]] = 0.0
        return y


def _form(data: Mapping[str, Any] | None) -> QuadraticForm | None:
    if data is None:
        return None
    return QuadraticForm(
        first=_ints(data["first"]),
        second=_ints(data["second"]),
        values=_floats(data["values"]),
    )


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int32)


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _beyond(side: float, by: float) -> float:
    return max(0.0, by / max(1.0, abs(side))) if math.isfinite(side) else 0.0
