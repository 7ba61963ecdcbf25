"""Headlines of results by kind, and facts without dictionaries shown as text."""

from __future__ import annotations

import math
from typing import Any

import pytest

from services.web.headlines import headline, named_bands
from services.web.kind_results import facts, flattened, table_column


def shown(kind: str, result: dict[str, Any], **spec: Any) -> list[tuple[str, str, str]]:
    found = headline(kind, result, spec)
    assert found is not None
    return [(one.name, one.value, one.note) for one in found.figures]


def test_ilp_begins_with_objective_gap_bound_and_check() -> None:
    result = {
        "summary": {"rows": 3},
        "objective": 185.0,
        "bound": 186.5,
        "gap": 0.00804,
        "sense": "maximize",
        "verification": {"status": "valid", "max_violation": 0.0},
    }
    assert shown("ilp", result) == [
        ("Objective", "185", "maximized"),
        ("Gap", "0.80 %", "proved"),
        ("Bound", "186.5", "no solution is better"),
        ("Verified", "Yes", "exactly feasible"),
    ]
    result["verification"] = {"status": "invalid", "max_violation": 0.25}
    assert shown("ilp", result)[-1] == ("Verified", "No", "largest violation 0.25")


def test_antenna_begins_with_a_verdict_per_band() -> None:
    second = {
        "verdict": "fail",
        "bands": [{"band": "bands[0]", "verdict": "shifted pass", "worst_db": -8.123}],
    }
    row = {"verdict": "pass", "worst_db": -11.23, "limit_db": -10.0}
    checks = {
        "bands": [{"band": "bands[0]", **row}, {"band": "avoid[0]", **row}],
        "second_solver": second,
        "margin_db": 1.234,
        "efficiency": [0.9123, 0.85],
    }
    result = {"summary": {"search": "tabu"}, "verification": {"checks": checks}}
    bands = [{"f_lo_hz": 2.4e9, "f_hi_hz": 2.48e9}]
    avoid = [{"f_lo_hz": 5e9, "f_hi_hz": 5.5e9}]
    words = "S11 -11.2 dB, limit -10 dB"
    assert shown("antenna", result, bands=bands, avoid=avoid) == [
        ("2.4 to 2.48 GHz", "Met", f"{words}; second solver: met if shifted, -8.12 dB"),
        ("Avoid 5 to 5.5 GHz", "Met", words),
        ("Margin", "1.23 dB", "over all bands"),
        ("Efficiency", "85.00 %", "the lowest, at the centre of a band"),
    ]
    checks["second_solver"] = {"verdict": "x", "detail": "verify_runs is 0", "bands": []}
    unchecked = ("Second solver", "Not checked", "verify_runs is 0")
    assert unchecked in shown("antenna", result, bands=bands, avoid=avoid)


@pytest.mark.parametrize(
    ("compared", "mean", "interval"),
    [
        ("ratio", "-4.88 %", "95 % interval -9.52 % to -0.995 %"),
        ("difference", "-0.05", "95 % interval -0.1 to -0.01"),
    ],
)
def test_learn_begins_with_the_decision_and_the_interval(
    compared: str, mean: str, interval: str
) -> None:
    summary = {
        "decision": "adopted",
        "metric": "error (ms)",
        "shipped": 1.2345,
        "fitted": 1.1,
        "compared": compared,
        "difference": {"mean": -0.05, "low": -0.1, "high": -0.01, "confidence": 0.95},
        "instances": {"fit": 30, "held_out": 10},
        "reasons": ["measured", "adopted: the interval excludes 0"],
    }
    assert shown("learn", {"summary": summary}) == [
        ("Decision", "Adopted", "adopted: the interval excludes 0"),
        ("Fitted model", "1.1", "error (ms)"),
        ("Shipped model", "1.23", "error (ms)"),
        ("Difference", mean, interval),
        ("Held out", "10", "instances, not used to fit"),
    ]
    without = {"summary": {"decision": "none", "reasons": ["too few instances"]}}
    assert shown("learn", without) == [("Decision", "No model", "too few instances")]


@pytest.mark.parametrize(
    "kind", ["ilp", "antenna", "learn", "sharding", "probe", "other"]
)
@pytest.mark.parametrize("result", [None, {}, {"summary": {}}, {"summary": {"x": 1}}])
def test_a_result_without_figures_has_no_broken_headline(
    kind: str, result: dict[str, Any] | None
) -> None:
    found = headline(kind, result, {})
    for figure in () if found is None else found.figures:
        assert "None" not in figure.value + figure.note
        assert "nan" not in figure.value


def test_no_dictionary_is_shown_as_text() -> None:
    summary = {
        "plain": 1.23456,
        "nested": {"in": {"deep_ms": 2.0, "deeper": {"x": [1, 2]}}, "rows": [{"a": 1}]},
        "list": [[1], [2]],
        "empty": {},
    }
    texts = [text for group in facts(summary) for _, text in group.facts]
    assert texts == [
        "1.23",
        "2 entries, see the result",
        "2 ms",
        "1, 2",
        "1 entry, see the result",
    ]
    assert not any(mark in text for text in texts for mark in "{}[]")
    curve = {"s11": {"f_hz": [float(n) for n in range(99)]}, "margin_db": math.pi}
    assert flattened(curve) == [("Margin", "3.14 dB")]


def test_a_compile_job_begins_with_its_size_against_oz() -> None:
    result = {
        "objective": 216.0,
        "summary": {
            "objective": "loadable_bytes",
            "oz": 229,
            "saved": 0.0568,
            "pipelines_tried": 39,
            "behaviour": "compared on 2 runs",
        },
        "verification": {"status": "valid"},
    }
    head = headline("compile", result, {})
    assert head is not None
    assert [(one.name, one.value, one.note) for one in head.figures] == [
        ("Size", "216", "loadable bytes"),
        ("Against -Oz", "-5.68 %", "229 loadable bytes"),
        ("Verified", "Yes", "compared on 2 runs"),
        ("Pipelines tried", "39", ""),
    ]


def test_checks_name_bands_by_their_frequencies() -> None:
    spec = {"bands": [{"f_lo_hz": 5.15e9, "f_hi_hz": 5.35e9}]}
    checks = {"bands": [{"band": "bands[0]", "worst_db": -18.7}], "margin_db": 8.7}
    assert named_bands(checks, spec) == {
        "bands": [{"band": "5.15 to 5.35 GHz", "worst_db": -18.7}],
        "margin_db": 8.7,
    }
    assert named_bands({"band": "bands[7]"}, spec) == {"band": "bands[7]"}


def test_missing_values_are_left_out_and_units_stand_once() -> None:
    assert flattened({"worst_row": None, "notes": [], "rows": 3}) == [("Rows", "3")]
    assert table_column("worst_db", [-18.7]) == "Worst"
    assert table_column("unit_ms", ["none"]) == "Unit ms"
