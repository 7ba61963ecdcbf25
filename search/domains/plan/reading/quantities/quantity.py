"""Numbers that share a unit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from search.domains.plan.reading.units import Dimension, Unit


class Shape(Enum):
    """Form in which the numbers of a quantity belong together."""

    SINGLE = auto()
    LIST = auto()  # 1, 2 and 3
    RANGE = auto()  # 2.4 to 2.48
    PRODUCT = auto()  # 2x8, 35 by 35
    AROUND = auto()  # 5.8 +/- 0.075: middle and half width


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One or more numbers that share a unit."""

    shape: Shape
    numbers: tuple[float, ...]
    units: tuple[Unit, ...]  # readings of the unit; empty without one
    start: int  # token
    end: int
    tokens: tuple[int, ...]  # of the numbers
    exact: bool = True
    suffix: str = ""  # k, ki, ...
    choice: bool = False  # a list joined by "or", "vs" or "/"

    def reading(self, dimension: Dimension) -> tuple[float, ...] | None:
        """Return the numbers in a dimension's unit; None if the unit does not fit."""
        scale = {"k": 1e3, "ki": 1024.0, "mi": 2.0**20, "gi": 2.0**30}.get(
            self.suffix, 1.0
        )
        if not self.units:
            fits = dimension in (Dimension.COUNT, Dimension.RATIO)
            return tuple(scaled(n, scale) for n in self.numbers) if fits else None
        for unit in self.units:
            if unit.dimension is dimension:
                return tuple(scaled(n, unit.factor * scale) for n in self.numbers)
        return None

    def note(self, dimension: Dimension) -> str:
        """Return what to say about the unit's reading; empty if nothing."""
        return next((u.note for u in self.units if u.dimension is dimension), "")


def scaled(number: float, factor: float) -> float:
    """Return the product without the noise of binary factors: 2.402 GHz is 2402000000 Hz."""
    return float(f"{number * factor:.12g}")
