"""Constructs of LP and MPS that readers take differently or refuse.

Each is in a small model whose optimum shows its meaning. The table in the guide
(reading-models.md) has the rule behind each.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.compare import differences
from solvers.errors import ModelError
from solvers.exact import check, read_exact
from solvers.read import ReadLimits, read_with_notes
from solvers.table import make_solver
from solvers.two_readings import load
from solvers.types import SolveParams
from tests.cases.ilp.constructs import LP, MPS, lp, mps
from trimtab.results import Reason

READING = Path(__file__).parent / "reading"


def optimum(path: Path) -> float | None:
    loaded = load(path)
    engine = make_solver("highs" if loaded.exact.linear else "scip")
    result = engine.solve(loaded.model, SolveParams(time_limit_s=30.0))
    if result.x is None:
        return None
    # SCIP's gap on quadratic objectives may stay just open.
    assert result.termination.reason is Reason.OPTIMAL or not loaded.exact.linear
    verdict = check(loaded.exact, result.x.tolist())
    assert verdict.feasible, verdict.detail
    return float(verdict.objective)


@pytest.mark.parametrize("construct", LP)
def test_lp(tmp_path: Path, construct: str) -> None:
    text, right = LP[construct]
    path = tmp_path / "m.lp"
    path.write_bytes(text.encode())
    assert optimum(path) == pytest.approx(right, abs=1e-5)


@pytest.mark.parametrize("construct", MPS)
def test_mps(tmp_path: Path, construct: str) -> None:
    text, right = MPS[construct]
    path = tmp_path / "m.mps"
    path.write_bytes(text.encode())
    assert optimum(path) == pytest.approx(right, abs=1e-5)


def test_the_table_is_long_enough() -> None:
    assert len(LP) >= 60
    assert len(MPS) >= 60


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("names-after-section-words.lp", 7),
        ("names-after-section-words-2.lp", 8),
        ("fixed-before-binary.lp", 5),
        ("umlaut.lp", 7),
        ("dollar-comment.mps", 3.5),
        ("brackets.lp", 1.5),
    ],
)
def test_files(name: str, right: float) -> None:
    assert optimum(READING / name) == right


@pytest.mark.parametrize("construct", [*LP, *MPS])
def test_large_files_are_read_alike(tmp_path: Path, construct: str) -> None:
    """The fast path for large files gives the same model as the slow path for small ones."""
    text, kind = (
        (LP[construct][0], "lp") if construct in LP else (MPS[construct][0], "mps")
    )
    path = tmp_path / f"m.{kind}"
    path.write_bytes(text.encode())
    small = read_with_notes(path, limits=ReadLimits(compared_bytes=1 << 30)).model
    large = read_with_notes(path, limits=ReadLimits(compared_bytes=0)).model

    exact = read_exact(path)
    assert differences(exact, small) == []
    assert differences(exact, large) == []


REFUSED = {
    "two comparisons that disagree": (
        lp("c1: 2 <= x + y >= 1"),
        "the same comparison twice",
    ),
    "variables outside of a row between two": (
        lp("c1: x <= x + y <= 1"),
        "the variables in the middle",
    ),
    "an infinity among the terms": (lp("c1: x + inf <= 3"), "expected a variable"),
    "a cube": (lp("c1: [ x^3 ] <= 3"), "the power 2"),
    "a space that is none": (lp("c1: x\u00a0y + z <= 3"), r"U\+00A0"),
    "general constraints": (
        lp(after="General Constraints\n g: r = MAX ( x , y )\n"),
        "general constraints",
    ),
    "a range of a row with an infinite side": (
        mps(rows=" L i\n", rhs=" RHS i 1e30\n", later="RANGES\n R i 2\n"),
        "infinite",
    ),
    "OBJNAME of nothing": (mps(head="OBJNAME\n nothing\n"), "OBJNAME"),
}


@pytest.mark.parametrize("construct", REFUSED)
def test_refused_with_the_reason(tmp_path: Path, construct: str) -> None:
    text, why = REFUSED[construct]
    path = tmp_path / ("m.mps" if "ROWS" in text else "m.lp")
    path.write_bytes(text.encode())
    with pytest.raises(ModelError, match=why):
        load(path)
