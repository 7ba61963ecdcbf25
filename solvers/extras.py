"""What a model may hold beside linear rows over continuous and integer variables.

A `MilpModel` with `extras` is a relaxation without them: the linear rows and bounds hold anyway, extras only cut points off
(and a quadratic objective is added to the linear one). Semi-continuous columns have bounds that include 0 in the model;
what lies between 0 and their own bounds is cut off here.
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
        """The form's value at x."""
        return float(np.sum(self.values * x[self.first] * x[self.second]))


@dataclass(frozen=True, kw_only=True)
class SpecialRow:
    """lower ≤ values·x[columns] + quadratic(x) ≤ upper, always or while a binary has the value that wakes it."""

    name: str
    columns: Ints
    values: Floats
    lower: float
    upper: float
    quadratic: QuadraticForm | None = None
    binary: int | None = None  # column of the indicator
    awake_at: int = 1

    def violation(self, x: Floats) -> float:
        """How far the row is outside its sides, relative to max(1, |side|)."""
        if self.binary is not None and round(float(x[self.binary])) != self.awake_at:
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
    """SOS: at most `kind` (1 or 2) of the columns are not 0, and two must be neighbours. Columns are ordered by weight."""

    name: str
    kind: int
    columns: Ints
    weights: Floats

    def violation(self, x: Floats) -> float:
        """The largest value that would have to become 0, at the least harmful choice of those that stay."""
        size = np.abs(x[self.columns])
        if len(size) <= self.kind:
            return 0.0
        # before[p]: the largest of the first p; after[p]: the largest from p on. A window of `kind` neighbours stays.
        before = np.concatenate(([0.0], np.maximum.accumulate(size)))
        after = np.concatenate((np.maximum.accumulate(size[::-1])[::-1], [0.0]))
        windows = len(size) - self.kind + 1
        return float(np.maximum(before[:windows], after[self.kind :]).min())


@dataclass(frozen=True, kw_only=True)
class SemiColumn:
    """x is 0 or within [lower, upper]."""

    column: int
    lower: float
    upper: float

    def violation(self, x: Floats) -> float:
        """Distance to 0 or to the bounds, whichever is nearer, relative to max(1, |bound|)."""
        value = float(x[self.column])
        outside = max(
            _beyond(self.lower, self.lower - value),
            _beyond(self.upper, value - self.upper),
        )
        return min(abs(value), outside)


@dataclass(frozen=True, kw_only=True)
class Extras:
    """All of them. `words` says what there is."""

    objective: QuadraticForm | None = None
    rows: tuple[SpecialRow, ...] = ()
    sets: tuple[OrderedSet, ...] = ()
    semi: tuple[SemiColumn, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """For people: the parts that linear solvers do not take."""
        quadratic = sum(row.quadratic is not None for row in self.rows)
        waking = sum(row.binary is not None for row in self.rows)
        parts = (
            (self.objective is not None, "a quadratic objective"),
            (quadratic, f"{quadratic} quadratic rows"),
            (waking, f"{waking} indicator rows"),
            (len(self.sets), f"{len(self.sets)} SOS sets"),
            (len(self.semi), f"{len(self.semi)} semi-continuous or semi-integer variables"),
        )
        return tuple(text for there, text in parts if there)

    def violation(self, x: Floats) -> float:
        """The worst of all, relative."""
        of_rows = [row.violation(x) for row in self.rows]
        of_sets = [one.violation(x) for one in self.sets]
        return max([0.0, *of_rows, *of_sets, *(part.violation(x) for part in self.semi)])

    def as_json(self) -> dict[str, Any]:
        """Everything in lists and numbers; `from_json` takes it back."""

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
    def from_json(cls, told: Mapping[str, Any]) -> Extras:
        """What `as_json` gave."""
        return cls(
            objective=_form(told["objective"]),
            rows=tuple(
                SpecialRow(
                    **row
                    | {"columns": _ints(row["columns"]), "values": _floats(row["values"])}
                    | {"quadratic": _form(row["quadratic"])}
                )
                for row in told["rows"]
            ),
            sets=tuple(
                OrderedSet(
                    **one
                    | {"columns": _ints(one["columns"]), "weights": _floats(one["weights"])}
                )
                for one in told["sets"]
            ),
            semi=tuple(SemiColumn(**one) for one in told["semi"]),
        )

    def tidied(self, x: Floats, *, within: float = 1e-6) -> Floats:
        """x with specks of SOS members and semi-continuous columns made 0: solvers take 1e-6 for nothing."""
        columns = [part.column for part in self.semi]
        columns += [int(column) for part in self.sets for column in part.columns]
        y = x.copy()
        y[[column for column in set(columns) if abs(x[column]) <= within]] = 0.0
        return y


def _form(told: Mapping[str, Any] | None) -> QuadraticForm | None:
    if told is None:
        return None
    return QuadraticForm(
        first=_ints(told["first"]),
        second=_ints(told["second"]),
        values=_floats(told["values"]),
    )


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int32)


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _beyond(side: float, by: float) -> float:
    return max(0.0, by / max(1.0, abs(side))) if math.isfinite(side) else 0.0
