"""How many variables an arm frees, controlled in both directions by how the sub-MIP ended.

A sub-MIP that is solved to the end at once was too small; one that runs into its limit was too large. Published LNS only
grows (γ = 1.02, CL-LNS 1.1); with growth alone the size explodes once progress stalls (ilp.md, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Size:
    """The number of variables to free, and how it moves."""

    k: float
    least: int
    most: int
    grow: float = 1.15
    shrink: float = 0.7
    quick_share: float = 0.15  # of the time limit: a proof faster than this was cheap
    leap: float = 2.0  # instead of `grow` when the proof took next to nothing
    leap_share: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(
                f"size wants 1 <= least <= most; least={self.least}, most={self.most} came"
            )
        if not (self.grow > 1 > self.shrink > 0):
            raise ValueError(
                f"size wants grow > 1 > shrink > 0; grow={self.grow}, shrink={self.shrink} came"
            )

    @property
    def count(self) -> int:
        """Variables to free now."""
        return int(min(self.most, max(self.least, round(self.k))))

    def after(
        self, *, proved: bool, improved: bool, seconds: float, limit_s: float
    ) -> Size:
        """The size for the next time."""
        if not proved:
            # An improvement found at the limit is still too slow: a smaller neighbourhood gives the next one sooner.
            factor = self.shrink if not improved else (1 + self.shrink) / 2
        elif seconds < self.quick_share * limit_s:
            growth = self.leap if seconds < self.leap_share * limit_s else self.grow
            factor = growth if not improved else (1 + self.grow) / 2
        else:
            factor = 1.0
        return replace(
            self, k=min(float(self.most), max(float(self.least), self.k * factor))
        )
