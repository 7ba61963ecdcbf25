"""Reward spaces in CompilerGym's names and definitions: what an episode's reward adds up to.

NAME             size before the step minus size after it
NAMENorm         the same, divided by the size of the unoptimised module
NAMEO3, NAMEOz   the same, divided by what -O3 (-Oz) saves: an episode that adds up to 1.0 has reached -O3 (-Oz)

for NAME in IrInstructionCount, ObjectTextSizeBytes. A gain of the baseline below one unit counts as one (no division by zero).
The baselines are this LLVM's `default<O3>` and `default<Oz>` over the given module, with the attributes it carries: on
modules made with -Oz that is the true -Oz, stronger than CompilerGym's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

SIZES = ("IrInstructionCount", "ObjectTextSizeBytes")


@dataclass(frozen=True, kw_only=True)
class RewardSpace:
    """One way to score a step."""

    name: str
    size: str  # the observation that is made smaller
    baseline: str | None  # "O0" (Norm), "O3", "Oz", or none

    def scale(self, size_of: Callable[[str], int]) -> float:
        """What a saving is divided by. `size_of` gives an observation of the unoptimised module by name."""
        if self.baseline is None:
            return 1.0
        unoptimised = size_of(f"{self.size}O0")
        if self.baseline == "O0":
            return float(max(unoptimised, 1))
        return float(max(unoptimised - size_of(f"{self.size}{self.baseline}"), 1))


def _spaces() -> dict[str, RewardSpace]:
    suffixes = {"": None, "Norm": "O0", "O3": "O3", "Oz": "Oz"}
    return {
        f"{size}{suffix}": RewardSpace(name=f"{size}{suffix}", size=size, baseline=baseline)
        for size in SIZES
        for suffix, baseline in suffixes.items()
    }


SPACES = MappingProxyType(_spaces())


def reward_space(name: str) -> RewardSpace:
    """The space of that name. Raises ValueError naming what there is."""
    if name not in SPACES:
        raise ValueError(f"reward space {name!r} is unknown; known: {', '.join(SPACES)}")
    return SPACES[name]
