"""Certificates in a result's summary: a bound that is proved for a model's cost instead of the objective."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MODEL = "certified model"
"""Whose cost the bound is about, for people."""


@dataclass(frozen=True, kw_only=True)
class Certified:
    """A lower bound on a model's cost, and the gap of the reported solution under that model."""

    bound: float
    gap: float
    cost: float  # of the reported solution under the model


def certified(result: Mapping[str, Any] | None) -> Certified | None:
    """The certificate of a result that has no bound of its own; None without one."""
    if not result or result.get("bound") is not None:
        return None
    summary = result.get("summary")
    certificate = summary.get("certificate") if isinstance(summary, Mapping) else None
    if not isinstance(certificate, Mapping):
        return None
    values = [certificate.get(key) for key in ("lower_bound_ms", "gap", "model_ms")]
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        return None
    bound, gap, cost = (float(v) for v in values)  # type: ignore[arg-type]
    return Certified(bound=bound, gap=gap, cost=cost)


def statement(cost: float, bound: float) -> str:
    """A sentence that a proved lower bound supports. Figures are rounded up, so that the sentence stays true.

    With gap = 1 - bound / cost, no plan can be more than `gap` cheaper than this one, and this one costs at most
    cost / bound times the cheapest.
    """
    if bound <= 0:
        return f"under the {MODEL} no lower bound was proved"
    gap = max(0.0, 1 - bound / cost)
    if gap > 0.5:
        times = math.ceil(10 * cost / bound - 1e-9) / 10
        return f"under the {MODEL} the plan costs at most {times:.1f} times the proved lower bound"
    digits = 1 if gap >= 0.01 else 2
    shown = math.ceil(gap * 10 ** (2 + digits) - 1e-9) / 10**digits
    return f"under the {MODEL} no plan can be more than {shown:.{digits}f} % cheaper"
