"""No curve, table or picture costs a result, whatever the size of the objective."""

from __future__ import annotations

import itertools
import math
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from search import pipeline
from search.domains.ilp import build
from search.domains.ilp.produce import curve_extras
from search.drawing.curves import step_curves
from search.stop import from_budget
from trimtab.results import Reason, VerificationStatus
from trimtab.specs.ilp import IlpSpec

# The case of the public report: objectives of about 1e16 and a flat curve.
LARGE = """\
{sense}
 obj: {c1} x + {c2} y
Subject To
 c1: 3 x + 7 y >= 4000001
 c2: x - y <= 10
Bounds
 x <= 10000000
 y <= 1000000
General
 x y
End
"""


def solve(text: str, tmp_path: Path) -> Any:
    return pipeline.run(
        build(),
        IlpSpec(model_text=text, format="lp"),
        inputs={},
        workdir=tmp_path,
        stop=from_budget({"seconds": 20.0}, threading.Event()),
        seed=0,
    )


@pytest.mark.parametrize("factor", [1, 10**3, 10**6])
def test_large_objectives_have_a_result_and_a_picture(
    tmp_path: Path, factor: int
) -> None:
    text = LARGE.format(
        sense="Minimize", c1=30000000000 * factor, c2=20000000000 * factor
    )
    finished = solve(text, tmp_path)
    result = finished.result
    assert result.verification.status is VerificationStatus.VALID, result.termination
    assert result.termination.reason in (Reason.OPTIMAL, Reason.FEASIBLE)
    assert result.objective == pytest.approx(11428580000000000.0 * factor, rel=1e-6)
    assert {"solution.sol", "curve.svg", "curve.csv"} <= {
        file.name for file in finished.produced
    }
    assert not [note for note in result.summary["notes"] if "left out" in str(note)]


def test_a_picture_that_fails_costs_the_picture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr("search.domains.ilp.produce.step_curves", broken)
    finished = solve(LARGE.format(sense="Minimize", c1=3, c2=2), tmp_path)
    assert finished.result.termination.reason is Reason.OPTIMAL
    names = {file.name for file in finished.produced}
    assert {"solution.sol", "solution.json", "curve.csv"} <= names
    assert "curve.svg" not in names
    assert not (tmp_path / "curve.svg").exists()
    assert (
        "curve.svg was left out: ZeroDivisionError: float division by zero"
        in finished.result.summary["notes"]
    )


def test_a_full_disk_costs_the_files_that_decorate_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full(self: Path, *given: Any, **more: Any) -> int:
        if self.suffix == ".svg":
            write(self, "half of it")
            raise OSError(28, "No space left on device")
        return write(self, *given, **more)

    monkeypatch.setattr(Path, "write_text", full)
    finished = solve(LARGE.format(sense="Minimize", c1=3, c2=2), tmp_path)
    assert finished.result.verification.status is VerificationStatus.VALID
    assert not (tmp_path / "curve.svg").exists(), "no half of a file is left"


@pytest.mark.parametrize(
    "values",
    [
        (1.142858e16, 1.142858e16),
        (1e16, 1e16 + 2),
        (-1e300, -1e300),
        (sys.float_info.max, -sys.float_info.max),
        (sys.float_info.max, sys.float_info.max),
        (5e-324, 0.0),
        (0.0, 0.0),
        (1.0, math.nextafter(1.0, 2.0)),
        (math.inf, 3.0),
        (math.nan, math.nan),
        (),
    ],
)
@pytest.mark.parametrize("until", [1.0, 0.0, 5e-324, math.inf, math.nan])
def test_curves_of_any_size_are_drawn(values: tuple[float, ...], until: float) -> None:
    points = [(float(i), value) for i, value in enumerate(values)]
    picture = step_curves(
        {"incumbent": points, "bound": points[:1]}, until=until, title="<t>"
    )
    assert picture.startswith("<svg")
    assert "nan" not in picture
    for limits in itertools.combinations(
        sorted(value for value in values if math.isfinite(value)), 2
    ):
        assert "nan" not in step_curves(
            {"a": points}, until=until, title="t", limits=limits
        )


@pytest.mark.parametrize("value", [1.142858e16, -1.142858e16, 1e308, -1e-308, 0.0, 7.0])
def test_curves_are_written_for_any_objective(tmp_path: Path, value: float) -> None:
    curve = ((0.1, value, None), (0.2, value, value), (0.3, value, value * (1 - 1e-16)))
    extras = curve_extras(curve)
    assert [extra.name for extra in extras] == ["curve.csv", "curve.svg"]
    for extra in extras:
        extra.write(tmp_path / extra.name)
        assert (tmp_path / extra.name).stat().st_size > 0
