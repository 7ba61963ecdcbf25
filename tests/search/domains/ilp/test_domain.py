"""Kind `ilp` through the pipeline: all ways in which a run ends, all forms of a model."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from search.domains.ilp.solution import IlpSolution
from search.kinds import KINDS
from search.types import InvalidInput
from tests.contracts.domain import DomainContract
from tests.search.domains.ilp.jobs import KNAPSACK, inline, solve
from trimtab.results import Reason, VerificationStatus
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import Engine, IlpSpec, LnsOptions, Neighbourhood
from workers.corpus.integer_programs import set_cover, write_mps


class TestIlpContract(DomainContract):
    kind = KINDS["ilp"]

    def good(self, folder: Path) -> tuple[IlpSpec, Mapping[str, Path]]:
        file = folder / "cover.mps"
        if not file.exists():
            write_mps(set_cover(60, 50, density=0.1, seed=3), file)
        return IlpSpec(
            model=ArtifactRef(digest="sha256:" + "0" * 64, name="cover.mps")
        ), {"model": file}

    def bad(self, folder: Path) -> tuple[IlpSpec, Mapping[str, Path]]:
        return inline("this is no model"), {}

    def tampered(self, solution: IlpSolution) -> IlpSolution:
        x = solution.x.copy()
        x[x > 0.5] = 0.0
        return replace(solution, x=x)


def test_golden_cover(tmp_path: Path) -> None:
    """A fixed instance; HiGHS, SCIP and CP-SAT proved its optimum when the file was made."""
    golden = json.loads((Path(__file__).parent / "golden_cover.json").read_text())
    file = tmp_path / "cover.mps"
    write_mps(set_cover(**golden["instance"]), file)
    spec = IlpSpec(model=ArtifactRef(digest="sha256:" + "0" * 64, name="cover.mps"))
    result = solve(spec, tmp_path, inputs={"model": file}, seconds=40)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.objective == golden["optimum"]
    assert result.verification.objective_exact == str(golden["optimum"])
    assert result.bound is not None
    assert golden["optimum"] - 1 < result.bound <= golden["optimum"] + 1e-6


@pytest.mark.parametrize("engine", list(Engine))
def test_maximisation_is_reported_in_the_users_sense(
    engine: Engine, tmp_path: Path
) -> None:
    result = solve(inline(KNAPSACK, engine=engine), tmp_path)
    assert result.sense == "maximize"
    assert result.termination.reason is Reason.OPTIMAL
    assert result.objective == 13
    assert result.bound is not None
    assert result.bound >= 13 - 1e-6
    assert result.verification.status is VerificationStatus.VALID
    assert result.verification.objective_exact == "13"


def test_infeasible(tmp_path: Path) -> None:
    result = solve(
        inline("Minimize\n o: x\nSubject To\n a: x >= 2\n b: x <= 1\nGeneral\n x\nEnd\n"),
        tmp_path,
    )
    assert result.termination.reason is Reason.INFEASIBLE
    assert result.objective is None
    assert result.verification.status is VerificationStatus.NOT_CHECKED


def test_unbounded(tmp_path: Path) -> None:
    result = solve(
        inline("Maximize\n o: x\nSubject To\n a: x >= 2\nGeneral\n x\nEnd\n"), tmp_path
    )
    assert result.termination.reason in (Reason.UNBOUNDED, Reason.INFEASIBLE_OR_UNBOUNDED)
    assert result.objective is None


def test_linear_program_without_integers(tmp_path: Path) -> None:
    text = "Minimize\n o: x + 2 y\nSubject To\n a: x + y >= 1.5\n b: x - y = 0.25\nEnd\n"
    result = solve(inline(text), tmp_path)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.objective == pytest.approx(0.875 + 2 * 0.625)
    assert result.verification.status is VerificationStatus.VALID
    assert not result.summary["lns"]


def test_mixed_general_integers_equalities_and_free_rows(tmp_path: Path) -> None:
    integers = "".join(f" + {3 + i % 5} i{i}" for i in range(25))
    text = (
        f"Minimize\n o: 7 y {integers}\nSubject To\n"
        f" demand: 2.5 y {integers.replace('3 i', '1 i')} = 61.5\n"
        " cap: y <= 9.75\nBounds\n"
        + "".join(f" 0 <= i{i} <= 4\n" for i in range(25))
        + "General\n"
        + "".join(f" i{i}\n" for i in range(25))
        + "End\n"
    )
    result = solve(inline(text), tmp_path)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.verification.status is VerificationStatus.VALID
    assert result.summary["lns"]


def test_gzip_and_plain_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "cover.mps"
    write_mps(set_cover(60, 50, density=0.1, seed=3), file)
    packed = tmp_path / "cover.mps.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    objectives = set()
    for path in (file, packed):
        spec = IlpSpec(model=ArtifactRef(digest="sha256:" + "0" * 64, name=path.name))
        objectives.add(solve(spec, tmp_path, inputs={"model": path}).objective)
    assert len(objectives) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "."),
        ("Minimize\n o: x\nSubject To\n a: x >= nan\nEnd\n", "."),
        ("Minimize\n o: [ x ^ 3 ] / 2\nSubject To\n a: x >= 1\nEnd\n", "."),
        ("NAME t\nROWS\n N o\n L a\nCOLUMNS\n x o 1\n x zzz 1\nENDATA\n", "."),
    ],
    ids=["empty", "not a number", "cubic", "unknown row"],
)
def test_bad_files_are_invalid_input(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=says):
        solve(IlpSpec(model_text=text), tmp_path, seconds=5)


def test_models_beyond_linear_rows_go_to_an_exact_solver(tmp_path: Path) -> None:
    text = (
        "Minimize\n o: x + [ 2 x ^ 2 + 4 y ^ 2 ] / 2\nSubject To\n a: x + y >= 3\n"
        "General\n x\nEnd\n"
    )
    result = solve(IlpSpec(model_text=text), tmp_path, seconds=10)
    assert result.termination.reason is Reason.OPTIMAL
    # x = 1: 1 + 1 + 2·2² = 10; x = 2: 2 + 4 + 2·1² = 8; x = 3: 3 + 9 = 12
    assert result.objective == pytest.approx(8.0, abs=1e-5)
    assert result.verification.status is VerificationStatus.VALID
    notes = " ".join(result.summary["notes"])  # type: ignore[arg-type]
    assert "quadratic objective" in notes
    assert "scip was taken instead" in notes


def test_cp_sat_refuses_continuous_variables_before_it_searches(tmp_path: Path) -> None:
    text = "Minimize\n o: x + y\nSubject To\n a: x + y >= 1.5\nGeneral\n x\nEnd\n"
    with pytest.raises(InvalidInput, match="cp-sat"):
        solve(inline(text, engine=Engine.CP_SAT), tmp_path)


@pytest.mark.parametrize("arm", list(Neighbourhood))
def test_every_arm_alone_carries_a_run(arm: Neighbourhood, tmp_path: Path) -> None:
    """Its statistics are reported; the random arm replaces one that does not apply."""
    file = tmp_path / "cover.mps"
    write_mps(set_cover(400, 320, seed=9), file)
    reference = ArtifactRef(digest="sha256:" + "0" * 64, name="cover.mps")
    spec = IlpSpec(model=reference, lns=LnsOptions(neighbourhoods=(arm,)))
    # On a busy machine the engine comes first, and the search has to wait.
    for seconds in (2.5, 20.0, 60.0):
        result = solve(spec, tmp_path, inputs={"model": file}, seconds=seconds)
        if result.summary.get("lns_arms"):
            break
    assert result.verification.status is VerificationStatus.VALID
    assert set(result.summary["lns_arms"]) <= {arm.value, "random"}
    assert result.summary["lns_arms"]
    assert result.summary["structure"] == {
        "binaries": 320,
        "covering": 400,
        "density": pytest.approx(0.05, abs=0.01),
    }


MIXED = """Minimize
 cost: 3 a + 2 b + 4 c - 0.5 u + 0.25 v + 7 d
Subject To
 balance: a + b + c + 0.5 u - v = 7
 demand: 2 a + 3 c + u >= 9.5
 cap: a + b + d <= 6
 low: b - c >= -2
 high: b - c <= 3
Bounds
 a <= 9
 -3 <= b <= 9
 c <= 9
 u <= 20
 v <= 5
General
 a b c d
End
"""


def test_general_integers_equalities_and_continuous_variables_go_through_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.domains.ilp.search import lns_process

    monkeypatch.setattr(lns_process, "_MIN_INTEGERS_FOR_LNS", 1)
    alone = solve(inline(MIXED, lns=LnsOptions(enabled=False)), tmp_path, seconds=5)
    result = solve(inline(MIXED), tmp_path, seconds=5)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.objective == pytest.approx(alone.objective)
    assert result.verification.status is VerificationStatus.VALID
