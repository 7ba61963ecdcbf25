"""Reward spaces with CompilerGym's names and definitions.

NAME             size before the step minus size after it
NAMENorm         divided by the size of the unoptimised module
NAMEO3, NAMEOz   divided by the saving of -O3 (-Oz): 1.0 over an episode equals -O3 (-Oz)

NAME is IrInstructionCount or ObjectTextSizeBytes. A divisor is at least 1. The baselines are this
LLVM's `default<O3>` and `default<Oz>` on the benchmark's module with the attributes that it has.
For modules compiled for -Oz that is the true -Oz, stronger than CompilerGym's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

SIZES = ("IrInstructionCount", "ObjectTextSizeBytes")


@dataclass(frozen=True, kw_only=True)
class RewardSpace:
    """Definition of a step's reward."""

    name: str
    size: str  # name of the observation to minimise
    baseline: str | None  # "O0" (Norm), "O3", "Oz" or None

    def scale(self, size_of: Callable[[str], int]) -> float:
        """Return the divisor of a saving; `size_of` returns a size observation by name."""
        if self.baseline is None:
            return 1.0
        unoptimised = size_of(f"{self.size}O0")
        if self.baseline == "O0":
            return float(max(unoptimised, 1))
        return float(max(unoptimised - size_of(f"{self.size}{self.baseline}"), 1))


def _spaces() -> dict[str, RewardSpace]:
    suffixes = {"": None, "Norm": "O0", "O3": "O3", "Oz": "Oz"}
    return {
        f"{size}{suffix}": RewardSpace(
            name=f"{size}{suffix}", size=size, baseline=baseline
        )
        for size in SIZES
        for suffix, baseline in suffixes.items()
    }


SPACES = MappingProxyType(_spaces())


def reward_space(name: str) -> RewardSpace:
    """Return the space of that name. Raises ValueError, which names all spaces."""
    if name not in SPACES:
        raise ValueError(
            f"reward space: expected one of {', '.join(SPACES)}, got {name!r}"
        )
    return SPACES[name]
