"""A C program under construction: its text, and draws from its generator."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Source:
    """A program under construction."""

    rng: np.random.Generator
    text: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    """Functions `uint32_t f(uint32_t seed)` for main to call."""

    def number(self, low: int, high: int) -> int:
        """Return a number in [low, high]."""
        return int(self.rng.integers(low, high + 1))

    def word(self) -> str:
        """Return a 32-bit constant."""
        return f"0x{int(self.rng.integers(1, 2**32)):08x}u"

    def pick(self, *choices: str) -> str:
        """Return one of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def likely(self, share: float) -> bool:
        """Return True with probability `share`."""
        return float(self.rng.random()) < share

    def linkage(self) -> str:
        """Return the linkage of a helper: mostly static, some exported as a library's are."""
        return "static " if self.likely(0.7) else ""

    def expression(self, names: list[str], depth: int = 2) -> str:
        """Return a uint32_t expression over the named variables."""
        if depth == 0 or self.likely(0.15):
            return (
                self.pick(*names) if self.likely(0.75) else str(self.number(0, 255)) + "u"
            )
        a = self.expression(names, depth - 1)
        b = self.expression(names, depth - 1)
        return self.pick(
            f"({a} + {b})",
            f"({a} - {b})",
            f"({a} ^ {b})",
            f"({a} & {b})",
            f"({a} | {b})",
            f"({a} * {self.number(2, 63)}u)",
            f"({a} << {self.number(1, 9)})",
            f"({a} >> {self.number(1, 9)})",
            f"({a} % {self.number(3, 97)}u)",
            f"({a} < {b} ? {a} : {b})",
            f"({a} / ({b} | 1u))",
        )
