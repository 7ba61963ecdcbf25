"""Size of an arm's neighbourhood, adapted both ways to how its sub-MIPs end.

A sub-MIP that is solved to the end at once was too small; one that runs into its limit was too
large. Published LNS only grows (γ = 1.02 in CL-LNS, Huang et al., ICML 2023); with growth alone
the size explodes once progress stalls (deploy/docs/design/ilp.md, "Adaptive size").
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Size:
    """Number of variables to free, and the factors that change it."""

    k: float
    least: int
    most: int
    grow: float = 1.15
    shrink: float = 0.7
    quick_share: float = 0.15  # of the time limit: a faster proof was cheap
    leap: float = 2.0  # instead of `grow` after a proof within `leap_share`
    leap_share: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(
                f"size: expected 1 <= least <= most, got least={self.least}, most={self.most}"
            )
        if not (self.grow > 1 > self.shrink > 0):
            raise ValueError(
                f"size: expected grow > 1 > shrink > 0, got grow={self.grow}, shrink={self.shrink}"
            )

    @property
    def count(self) -> int:
        """Variables to free now."""
        return int(min(self.most, max(self.least, round(self.k))))

    def after(
        self,
        *,
        proved: bool,
        improved: bool,
        seconds: float,
        limit_s: float,
        base_s: float = 0.0,
    ) -> Size:
        """Return the size for the next call.

        base_s: what a sub-MIP takes without free integer variables, which no size changes; the
        continuous variables of a mixed model are always free.
        """
        seconds, limit_s = max(0.0, seconds - base_s), max(1e-9, limit_s - base_s)
        if not proved:
            # An improvement at the limit is still too slow: a smaller neighbourhood is quicker.
            factor = self.shrink if not improved else (1 + self.shrink) / 2
        elif seconds < self.quick_share * limit_s:
            growth = self.leap if seconds < self.leap_share * limit_s else self.grow
            factor = growth if not improved else (1 + self.grow) / 2
        else:
            factor = 1.0
        return replace(
            self, k=min(float(self.most), max(float(self.least), self.k * factor))
        )
