"""Budgets of bytes for flash, RAM and sections, as a build server checks them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.flash.usage import Usage

_SIZE = re.compile(r"(?P<number>0x[0-9a-fA-F]+|\d+)\s*(?P<unit>[kKmM]?)i?[bB]?")
_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Most bytes that `name` may take: "flash", "ram" or a section."""

    name: str
    most: int

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read NAME=SIZE, e.g. `flash=64K` or `.text=0x4000`. Raises ValueError."""
        name, equals, size = text.partition("=")
        match = _SIZE.fullmatch(size.strip())
        if not equals or not name or match is None:
            raise ValueError(
                f"--budget: expected NAME=SIZE such as flash=64K, ram=8192 or .text=0x4000, got "
                f"{text!r}"
            )
        return cls(
            name=name, most=int(match["number"], 0) * _UNITS[match["unit"].lower()]
        )

    def used(self, usage: Usage) -> int:
        """Return the bytes that count. Raises ValueError for a section that is not there."""
        if self.name in ("flash", "ram"):
            return usage.flash if self.name == "flash" else usage.ram
        if self.name not in usage.sections:
            some = ", ".join(sorted(usage.sections))
            raise ValueError(
                f"--budget: expected flash, ram or one of {some}, got {self.name!r}"
            )
        return usage.sections[self.name]


@dataclass(frozen=True, kw_only=True)
class Overrun:
    """A budget that is exceeded."""

    budget: Budget
    used: int

    @property
    def sentence(self) -> str:
        """One line for people."""
        most = self.budget.most
        return (
            f"{self.budget.name}: {self.used:,} bytes, {self.used - most:,} more than the budget "
            f"of {most:,}"
        )


def overruns(usage: Usage, budgets: Iterable[Budget]) -> list[Overrun]:
    """Return the budgets that are exceeded. Raises ValueError for an unknown name."""
    rows = [(budget, budget.used(usage)) for budget in budgets]
    return [
        Overrun(budget=budget, used=used) for budget, used in rows if used > budget.most
    ]
