"""Exact simplex tableau in integers, for changing bounds.

The general simplex of Dutertre and de Moura (2006): every row has a variable for its activity, so a
model is bounds on variables and equations between them. For models of some hundred rows, to check
the claims of floating-point engines.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from enum import Enum
from fractions import Fraction

# By largest violation; afterwards by Bland's rule, which cannot cycle.
_GREEDY_PIVOTS = 200
_ZERO = Fraction(0)

Side = Fraction | None


class OutOfTime(Exception):
    """The deadline has passed."""


class Least(Enum):
    """The end of a minimisation."""

    REACHED = "reached"
    UNBOUNDED = "unbounded"


class Tableau:
    """A tableau and a point on it.

    Variables 0..n-1 are the columns; n..n+m-1 are the activities of the rows `terms`, which are
    Σ coefficient · column.
    """

    def __init__(
        self, n: int, terms: Sequence[dict[int, Fraction]], *, deadline: float
    ) -> None:
        self._deadline = deadline
        count = n + len(terms)
        self.lower: list[Side] = [None] * count
        self.upper: list[Side] = [None] * count
        self.value: list[Fraction] = [_ZERO] * count
        self._nonbasic = list(range(n))
        self._basic = list(range(n, count))
        self._place = {variable: place for place, variable in enumerate(self._nonbasic)}
        self._row = {variable: place for place, variable in enumerate(self._basic)}
        # Basic variable = Σ entries · nonbasic / divisor.
        self._entries: list[list[int]] = []
        self._divisors: list[int] = []
        for row in terms:
            divisor = math.lcm(1, *(value.denominator for value in row.values()))
            entries = [0] * n
            for column, value in row.items():
                entries[column] = value.numerator * (divisor // value.denominator)
            self._entries.append(entries)
            self._divisors.append(divisor)

    def set_bounds(self, variable: int, lower: Side, upper: Side) -> None:
        """Change the bounds of a variable; `restore` then makes the point feasible."""
        self.lower[variable], self.upper[variable] = lower, upper
        if variable in self._place:
            value = self.value[variable]
            if lower is not None and value < lower:
                self._shift(variable, lower - value)
            elif upper is not None and value > upper:
                self._shift(variable, upper - value)

    def restore(self) -> bool:
        """Bring every variable within its bounds. Return False when that is impossible.

        Raises OutOfTime.
        """
        pivots = 0
        while True:
            self._tick()
            leaving = self._violated(greedy=pivots < _GREEDY_PIVOTS)
            if leaving is None:
                return True
            row = self._row[leaving]
            lower = self.lower[leaving]
            rises = lower is not None and self.value[leaving] < lower
            entering = self._entering(self._entries[row], rises=rises)
            if entering is None:
                return False
            target = lower if rises else self.upper[leaving]
            assert target is not None
            step = (
                (target - self.value[leaving])
                * self._divisors[row]
                / self._entries[row][self._place[entering]]
            )
            self._shift(entering, step)
            self.value[leaving] = target
            self._pivot(row, self._place[entering])
            pivots += 1

    def minimise(self, variable: int) -> Least:
        """Minimise a variable from a point within all bounds. Raises OutOfTime."""
        if variable in self._place:
            rows = [
                row
                for row, entries in enumerate(self._entries)
                if entries[self._place[variable]]
            ]
            if not rows:
                lower = self.lower[variable]
                if lower is None:
                    return Least.UNBOUNDED
                self._shift(variable, lower - self.value[variable])
                return Least.REACHED
            self._pivot(rows[0], self._place[variable])
        while True:
            self._tick()
            entering = self._entering(self._entries[self._row[variable]], rises=False)
            if entering is None:
                return Least.REACHED
            place = self._place[entering]
            rises = self._entries[self._row[variable]][place] < 0
            step, row = self._longest_step(entering, rises=rises, but=variable)
            if step is None:
                return Least.UNBOUNDED
            self._shift(entering, step if rises else -step)
            if row is not None:
                self._pivot(row, place)

    def _tick(self) -> None:
        if time.monotonic() > self._deadline:
            raise OutOfTime

    def _violated(self, *, greedy: bool) -> int | None:
        worst, at = _ZERO, None
        for variable in self._basic:
            value, lower, upper = (
                self.value[variable],
                self.lower[variable],
                self.upper[variable],
            )
            by = _ZERO
            if lower is not None and value < lower:
                by = lower - value
            elif upper is not None and value > upper:
                by = value - upper
            if not by:
                continue
            if not greedy:
                at = variable if at is None else min(at, variable)
            elif by > worst:
                worst, at = by, variable
        return at

    def _entering(self, entries: list[int], *, rises: bool) -> int | None:
        """Return the first nonbasic variable that can move the row up (or down)."""
        best: int | None = None
        for variable, entry in zip(self._nonbasic, entries, strict=True):
            if not entry or (best is not None and variable > best):
                continue
            if (entry > 0) == rises:
                side = self.upper[variable]
                free = side is None or self.value[variable] < side
            else:
                side = self.lower[variable]
                free = side is None or self.value[variable] > side
            if free:
                best = variable
        return best

    def _longest_step(
        self, entering: int, *, rises: bool, but: int
    ) -> tuple[Fraction | None, int | None]:
        """Return the largest step of a nonbasic variable, and the row that limits it.

        The row is None when the variable's own bound limits it, the step when nothing does.
        """
        place = self._place[entering]
        own = self.upper[entering] if rises else self.lower[entering]
        least = None if own is None else abs(own - self.value[entering])
        stopped: int | None = None
        for row, (variable, entries) in enumerate(
            zip(self._basic, self._entries, strict=True)
        ):
            entry = entries[place]
            if not entry:
                continue
            side = self.upper[variable] if (entry > 0) == rises else self.lower[variable]
            if side is None:
                continue
            step = abs(side - self.value[variable]) * self._divisors[row] / abs(entry)
            if (
                least is None
                or step < least
                or (
                    step == least
                    and stopped is not None
                    and variable < self._basic[stopped]
                )
            ):
                least, stopped = step, row
        if stopped is not None and self._basic[stopped] == but:
            return least, None  # the objective's own bound: a pivot would gain nothing
        return least, stopped

    def _shift(self, variable: int, by: Fraction) -> None:
        """Move a nonbasic variable, and the basic ones with it."""
        if not by:
            return
        self.value[variable] += by
        place = self._place[variable]
        for basic, entries, divisor in zip(
            self._basic, self._entries, self._divisors, strict=True
        ):
            if entries[place]:
                self.value[basic] += by * entries[place] / divisor

    def _pivot(self, row: int, place: int) -> None:
        """Exchange the basic variable of a row with the nonbasic one at a place."""
        old, divisor = self._entries[row], self._divisors[row]
        pivot = old[place]
        sign = 1 if pivot > 0 else -1
        new = [-sign * entry for entry in old]
        new[place] = sign * divisor
        new, new_divisor = _reduced(new, abs(pivot))
        self._entries[row], self._divisors[row] = new, new_divisor
        for other, entries in enumerate(self._entries):
            factor = entries[place]
            if other == row or not factor:
                continue
            mixed = [
                new_divisor * a + factor * b for a, b in zip(entries, new, strict=True)
            ]
            mixed[place] = factor * new[place]
            self._entries[other], self._divisors[other] = _reduced(
                mixed, self._divisors[other] * new_divisor
            )
        entering, leaving = self._nonbasic[place], self._basic[row]
        self._nonbasic[place], self._basic[row] = leaving, entering
        del self._place[entering], self._row[leaving]
        self._place[leaving], self._row[entering] = place, row


def _reduced(entries: list[int], divisor: int) -> tuple[list[int], int]:
    common = math.gcd(divisor, *entries)
    return (
        ([entry // common for entry in entries], divisor // common)
        if common > 1
        else (entries, divisor)
    )
