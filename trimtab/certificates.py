"""Certificates in a result's summary: bounds proved for a cost model, not for the objective."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MODEL = "certified model"
"""Name, for people, of the model that the bound holds for."""


@dataclass(frozen=True, kw_only=True)
class Certified:
    """A lower bound on a model's cost, and the reported solution's gap under that model."""

    bound: float
    gap: float
    cost: float  # of the reported solution under the model


def certified(result: Mapping[str, Any] | None) -> Certified | None:
    """Return the certificate of a result without a bound of its own; None if it has none."""
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
    """Return the sentence that a proved lower bound supports. Figures are rounded up to stay true.

    With gap = 1 - bound / cost, no plan can be more than `gap` cheaper than this one, and this one
    costs at most cost / bound times the cheapest.
    """
    if bound <= 0:
        return f"under the {MODEL} no lower bound was proved"
    gap = max(0.0, 1 - bound / cost)
    if gap > 0.5:
        times = math.ceil(10 * cost / bound - 1e-9) / 10
        factor = f"{times:.1f} times"
        return f"under the {MODEL} the plan costs at most {factor} the proved lower bound"
    digits = 1 if gap >= 0.01 else 2
    shown = math.ceil(gap * 10 ** (2 + digits) - 1e-9) / 10**digits
    return f"under the {MODEL} no plan can be more than {shown:.{digits}f} % cheaper"
