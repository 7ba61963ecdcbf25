"""Headlines of results: what the owner of a job of each kind looks for first. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from services.web.formatting import brief, figure, percent
from services.web.kind_results import measured
from trimtab.results import VerificationStatus
from trimtab.specs.antenna import AntennaSpec
from trimtab.specs.compile import CompileSpec
from trimtab.specs.ilp import IlpSpec
from trimtab.specs.learn import LearnSpec
from trimtab.specs.sharding import ShardingSpec

Json = Mapping[str, Any]
Figure = tuple[str, str, str]  # name, value, note

PICTURES_FIRST = frozenset({AntennaSpec.KIND, LearnSpec.KIND, ShardingSpec.KIND})
"""Kinds whose pictures say more than the curve of the search."""

_VERIFIED: Mapping[str, str] = {
    VerificationStatus.VALID: "Yes",
    VerificationStatus.INVALID: "No",
    VerificationStatus.NOT_CHECKED: "Not checked",
}
_VERDICTS: Mapping[str, str] = {
    "pass": "Met",
    "shifted pass": "Met if shifted",
    "fail": "Missed",
}


def headline(kind: str, result: Json | None, spec: Json) -> SimpleNamespace | None:
    """Return the headline of a result; None without a result and for other kinds."""
    make = _HEADLINES.get(kind)
    if make is None or not result or not result.get("summary"):
        return None
    figures = [one for one in make(result, spec) if one[1] not in ("", "–")]
    if not figures:
        return None
    return SimpleNamespace(
        figures=[
            SimpleNamespace(name=name, value=value, note=note)
            for name, value, note in figures
        ]
    )


def _sharding(result: Json, spec: Json) -> list[Figure]:
    summary: Json = result["summary"]
    certificate: Json = summary.get("certificate") or {}
    objective = result.get("objective")
    figures = [
        ("Proved gap", percent(certificate.get("gap")), "under the certified model"),
        ("Step time", measured("cost_ms", objective), "slowest device"),
        (
            "Interval",
            measured("interval_ms", summary.get("interval_ms")),
            "expected range",
        ),
        (
            "Lower bound",
            measured("lower_bound_ms", certificate.get("lower_bound_ms")),
            "no plan of the model is faster",
        ),
    ]
    baselines = [
        row
        for row in summary.get("baselines") or ()
        if isinstance(row.get("cost_ms"), int | float)
    ]
    if baselines and isinstance(objective, int | float) and objective > 0:
        best = min(baselines, key=lambda row: row["cost_ms"])
        cost = measured("cost_ms", best["cost_ms"])
        figures.append(("Best baseline", cost, str(best.get("planner", ""))))
    return figures


def _ilp(result: Json, spec: Json) -> list[Figure]:
    check: Json = result.get("verification") or {}
    violation = check.get("max_violation")
    note = ""
    if isinstance(violation, int | float):
        exact = violation == 0
        note = "exactly feasible" if exact else f"largest violation {brief(violation)}"
    sense = str(result.get("sense", "minimize"))
    return [
        ("Objective", figure(result.get("objective")), f"{sense}d"),
        ("Gap", percent(result.get("gap")), "proved"),
        ("Bound", figure(result.get("bound")), "no solution is better"),
        ("Verified", _VERIFIED.get(str(check.get("status")), ""), note),
    ]


def _compile(result: Json, spec: Json) -> list[Figure]:
    summary: Json = result["summary"]
    check: Json = result.get("verification") or {}
    measure = str(summary.get("objective", "")).replace("_", " ")
    saved = summary.get("saved")
    change = f"{-100 * saved:+.3g} %" if isinstance(saved, int | float) else ""
    oz = summary.get("oz")
    return [
        ("Size", figure(result.get("objective")), measure),
        ("Against -Oz", change, "" if oz is None else f"{figure(oz)} {measure}"),
        (
            "Verified",
            _VERIFIED.get(str(check.get("status")), ""),
            str(summary.get("behaviour", "")),
        ),
        ("Pipelines tried", figure(summary.get("pipelines_tried")), ""),
    ]


def _antenna(result: Json, spec: Json) -> list[Figure]:
    check: Json = result.get("verification") or {}
    checks: Json = check.get("checks") or {}
    second: Json = checks.get("second_solver") or {}
    others = {row.get("band"): row for row in second.get("bands") or ()}
    figures = []
    for row in checks.get("bands") or ():
        name = str(row.get("band", ""))
        note = (
            f"S11 {brief(row.get('worst_db'))} dB, limit {brief(row.get('limit_db'))} dB"
        )
        if (other := others.get(name)) is not None:
            words = _VERDICTS.get(str(other.get("verdict")), "").lower()
            note += f"; second solver: {words}, {brief(other.get('worst_db'))} dB"
        verdict = _VERDICTS.get(str(row.get("verdict")), str(row.get("verdict")))
        figures.append((_band(name, spec), verdict, note))
    if second and not others:
        figures.append(("Second solver", "Not checked", str(second.get("detail", ""))))
    efficiencies = [one for one in checks.get("efficiency") or () if one is not None]
    lowest = percent(min(efficiencies)) if efficiencies else "–"
    return [
        *figures,
        ("Margin", measured("margin_db", checks.get("margin_db")), "over all bands"),
        ("Efficiency", lowest, "the lowest, at the centre of a band"),
    ]


def named_bands(checks: Json, spec: Json) -> Json:
    """Return the checks with the frequencies of each band in place of `bands[0]`."""

    def named(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: _band(inner, spec)
                if key == "band" and isinstance(inner, str)
                else named(inner)
                for key, inner in value.items()
            }
        return [named(inner) for inner in value] if isinstance(value, list) else value

    return {key: named(value) for key, value in checks.items()}


def _band(name: str, spec: Json) -> str:
    """Return `2.4 to 2.48 GHz` for `bands[0]`; a band to avoid says so."""
    field, _, number = name.rstrip("]").partition("[")
    bands = spec.get(field)
    if not isinstance(bands, list | tuple) or not number.isdecimal():
        return name
    if int(number) >= len(bands):
        return name
    low, high = (bands[int(number)].get(end) for end in ("f_lo_hz", "f_hi_hz"))
    if not all(isinstance(end, int | float) for end in (low, high)):
        return name
    words = f"{low / 1e9:.4g} to {high / 1e9:.4g} GHz"
    return f"Avoid {words}" if field == "avoid" else words


def _learn(result: Json, spec: Json) -> list[Figure]:
    summary: Json = result["summary"]
    reasons = summary.get("reasons") or [""]
    decision = str(summary.get("decision", "")).capitalize()
    sizes: Json = summary.get("instances") or {}
    metric = str(summary.get("metric", ""))
    return [
        ("Decision", "No model" if decision == "None" else decision, str(reasons[-1])),
        ("Fitted model", brief(summary.get("fitted")), metric),
        ("Shipped model", brief(summary.get("shipped")), metric),
        ("Difference", *_difference(summary)),
        ("Held out", brief(sizes.get("held_out")), "instances, not used to fit"),
    ]


def _difference(summary: Json) -> tuple[str, str]:
    """Return the mean difference and its interval; of a ratio in percent."""
    values: Json = summary.get("difference") or {}
    compared = summary.get("compared")
    ends = [values.get(key) for key in ("mean", "low", "high")]
    if compared is None or not all(isinstance(end, int | float) for end in ends):
        return "–", ""

    def words(value: float) -> str:
        if compared == "ratio":
            return f"{100 * math.expm1(value):+.3g} %"
        return f"{value:+.3g}"

    mean, low, high = (words(float(end)) for end in ends if end is not None)
    share = f"{100 * float(values.get('confidence', 0.95)):g} %"
    return mean, f"{share} interval {low} to {high}"


_HEADLINES: Mapping[str, Callable[[Json, Json], list[Figure]]] = {
    ShardingSpec.KIND: _sharding,
    IlpSpec.KIND: _ilp,
    AntennaSpec.KIND: _antenna,
    CompileSpec.KIND: _compile,
    LearnSpec.KIND: _learn,
}
