"""Random linear models, with names of every sort and numbers in every notation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

import numpy as np

from workers.bench.fuzz.ilp_reading.peers import Meaning, RowKey, rows_of

T = TypeVar("T")
_PLAIN = (
    "x",
    "y",
    "z",
    "flow",
    "X12",
    "a.b",
    "e",
    "e1",
    "E5x",
    "_u",
    "n_1",
    "q#3",
    "r(1)",
    "s(2,3)",
    "w'",
    "u~",
    "k@1",
)
_SECTION_WORDS = (
    "end_1", "max_load", "min_x", "gen_1", "bin_2", "int_x", "st_3", "semi_1", "sos_1",
    "bounds_1", "general_1", "bin(2)", "st(3)", "free_x", "infinity_1", "subject", "to_2",
    "max_end", "Minimum_1", "ends", "binaries2", "sos1_x", "inf_1", "integer_", "lazy_1", "user_2",
    "bound2",
)  # fmt: skip
_FOREIGN = ("größe", "длина", "x_é", "λ1", "長さ", "naïve_1")
_BRACKETS = ("x[1]", "x[1,2]", "b[a]", "z[0][1]", "f[i,j]_t", "y[-1]")
_NUMBERS = (
    "1",
    "2",
    "3",
    "5",
    "7",
    "10",
    "0.5",
    "2.5",
    "0.25",
    "1.5",
    "12",
    "100",
    "1e1",
    "1.5e1",
    "2E+2",
    "25e-2",
    "3.",
    ".5",
)


@dataclass(kw_only=True)
class Drawn:
    """A model by its meaning, filled while its text is written."""

    maximize: bool = False
    offset: Fraction = Fraction(0)
    lower: dict[str, Fraction | None] = field(default_factory=dict)
    upper: dict[str, Fraction | None] = field(default_factory=dict)
    integer: set[str] = field(default_factory=set)
    cost: dict[str, Fraction] = field(default_factory=dict)
    rows: list[tuple[dict[str, Fraction], Fraction | None, Fraction | None]] = field(
        default_factory=list
    )

    def meaning(self) -> Meaning:
        """Return the model in the form in which readings are compared."""
        rows: Counter[RowKey] = rows_of(
            (
                [(name, float(value)) for name, value in terms.items()],
                -math.inf if low is None else float(low),
                math.inf if high is None else float(high),
            )
            for terms, low, high in self.rows
        )
        return Meaning(
            maximize=self.maximize,
            offset=float(self.offset),
            columns={
                name: (
                    -math.inf if low is None else float(low),
                    math.inf if (high := self.upper[name]) is None else float(high),
                    name in self.integer,
                    float(self.cost.get(name, 0)),
                )
                for name, low in self.lower.items()
            },
            rows=rows,
        )


class Dice:
    """Random choices of one case."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def one(self, *of: T) -> T:
        """Return one of the arguments."""
        return of[int(self._rng.integers(len(of)))]

    def among(self, of: Sequence[T]) -> T:
        """Return one of a sequence."""
        return of[int(self._rng.integers(len(of)))]

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self._rng.random() < probability)

    def upto(self, most: int) -> int:
        """Return one of 0, …, most."""
        return int(self._rng.integers(most + 1))

    def some(self, of: Sequence[T], least: int = 1) -> list[T]:
        """Return different elements, at least `least`, in random order."""
        count = (
            int(self._rng.integers(least, len(of) + 1)) if len(of) >= least else len(of)
        )
        return [of[int(place)] for place in self._rng.permutation(len(of))[:count]]

    def number(self) -> tuple[str, Fraction]:
        """Return a positive number, as text and exactly."""
        text = self.among(_NUMBERS)
        return text, Fraction(Decimal(text))

    def names(self, *, brackets: bool) -> list[str]:
        """Return names of variables."""
        pool = [*_PLAIN, *self.some(_SECTION_WORDS, 4)[:8], *self.some(_PLAIN, 3)]
        if self.chance(0.15):
            pool += _FOREIGN
        if brackets and self.chance(0.15):
            pool += _BRACKETS
        return list(dict.fromkeys(self.some(pool, 2)))[: 2 + self.upto(4)]


def exactly(text: str) -> Fraction:
    """Return the number that a text denotes."""
    return Fraction(Decimal(text))
