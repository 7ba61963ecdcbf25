"""Kind `antenna` by the contract of all kinds, and through the pipeline."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search import pipeline
from search.domains.antenna import build
from search.domains.antenna.design import AntennaSolution, Design
from search.domains.antenna.parse import AntennaProblem, parse
from search.domains.antenna.verify.fine import FineSolve, solve_fine
from search.finish import DeadRun, finish
from search.kinds import KINDS
from search.stop import from_budget
from solvers.field.openems.process import OpenEmsMissing, find_openems
from tests.contracts.domain import DomainContract
from tests.search.domains.antenna.jobs import PATCH, job
from trimtab.results import Limit, Reason, RunResult, Termination, VerificationStatus
from trimtab.specs.antenna import AntennaSpec
from trimtab.specs.common import Spec

GOLDEN = Path(__file__).parent / "golden_patch.json"


class TestAntenna(DomainContract):
    kind = KINDS["antenna"]

    def good(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        return job(), {}

    def bad(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        return job(
            board={"height_mm": 8.0, "eps_r": 10.0}, grid={"cells": 8, "cell_mm": 1.0}
        ), {}

    def tampered(self, solution: Any) -> Any:
        mask = solution.design.mask.copy()
        mask[:, 0] = ~mask[:, 0]
        return replace(solution, design=replace(solution.design, mask=mask))


def run(
    spec: AntennaSpec, folder: Path, *, seed: int = 0, **budget: Any
) -> tuple[RunResult, dict[str, Path]]:
    folder.mkdir(exist_ok=True)
    finished = pipeline.run(
        build(),
        spec,
        inputs={},
        workdir=folder,
        stop=from_budget({"seconds": 60.0, **budget}, threading.Event()),
        seed=seed,
    )
    return finished.result, {p.name: p.path for p in finished.produced}


def test_equal_seeds_give_equal_designs(tmp_path: Path) -> None:
    designs = [
        run(job(), tmp_path / str(i), seed=7)[1]["design.json"].read_text()
        for i in range(2)
    ]
    assert designs[0] == designs[1]


def test_golden_patch_keeps_its_margin(tmp_path: Path) -> None:
    """A stored design: the solver's answer for it must not drift."""
    golden = json.loads(GOLDEN.read_text())
    spec = AntennaSpec.model_validate(golden["spec"], strict=False)
    domain = build()
    problem = domain.parse(spec, {}, tmp_path)
    solution = AntennaSolution.from_bytes(json.dumps(golden["solution"]).encode())
    verification = domain.verify(problem, solution)
    assert verification.status is VerificationStatus.VALID
    assert verification.objective == pytest.approx(
        golden["solution"]["objective_db"], abs=1e-3
    )
    efficiency = verification.checks["efficiency"]
    assert efficiency == pytest.approx(golden["efficiency"], abs=2e-3)


def test_an_impossible_job_reports_its_best_design_and_the_reason(tmp_path: Path) -> None:
    wide = [{"f_lo_hz": 3.0e9, "f_hi_hz": 5.0e9}]
    result, files = run(job(bands=wide), tmp_path)
    assert result.termination.reason is Reason.COMPLETED
    assert result.objective is not None
    assert result.objective < 0
    assert (
        "a single patch on this board is matched over about" in result.termination.detail
    )
    assert "misses the requirements by" in result.termination.detail
    assert result.verification.status is VerificationStatus.VALID
    assert "antenna.s1p" in files


def test_evaluations_limit_the_coarse_solves(tmp_path: Path) -> None:
    spec = job(coarse_solves=1000, margin_db=10.0)
    result, _ = run(spec, tmp_path, evaluations=12)
    assert result.termination.limit is Limit.EVALUATIONS
    assert result.summary["solves"]["coarse"] == 12


def test_without_openems_the_result_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_OPENEMS", "/nonexistent/openEMS")
    result, files = run(job(verify_runs=1), tmp_path)
    opinion = result.verification.checks["second_solver"]
    assert opinion["verdict"] == "not checked by a second solver"
    assert "apt-get install openems" in opinion["detail"]
    assert result.verification.status is VerificationStatus.VALID
    assert json.loads(files["design.json"].read_text())["second_solver"] == opinion


def test_openems_judges_each_band(tmp_path: Path) -> None:
    """One run of openEMS on a board of 30 mm with 6 cells a side: a few seconds."""
    try:
        find_openems()
    except OpenEmsMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    result, files = run(job(verify_runs=1), tmp_path)
    opinion = result.verification.checks["second_solver"]
    assert opinion["verdict"] in ("pass", "shifted pass", "fail"), opinion
    (band,) = opinion["bands"]
    assert -60 < band["worst_db"] < 0
    assert abs(band["shift_percent"] or 0.0) <= 2
    assert opinion["mesh_cells"] < 200_000
    assert "openEMS" in files["s11.svg"].read_text()


def test_a_run_that_died_before_it_reported_anything_ends_with_a_textbook_patch(
    tmp_path: Path,
) -> None:
    died = Termination(
        reason=Reason.RESOURCE_EXHAUSTED,
        limit=Limit.TIME,
        detail="killed in phase encode",
    )
    finished = finish(
        build(),
        job(),
        inputs={},
        workdir=tmp_path,
        seed=0,
        dead=DeadRun(termination=died, checkpoint=None, budget_s=15.0),
        decorate=False,
    )
    assert KINDS["antenna"].baseline
    result = finished.result
    assert result.verification.status is VerificationStatus.VALID
    assert result.termination.limit is Limit.TIME
    assert (
        "killed in phase encode; the result is the baseline" in result.termination.detail
    )
    assert {"design.json", "antenna.s1p"} <= {file.name for file in finished.produced}


def test_files_use_the_solve_of_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fine mesh is solved once for check and files, and again in a new process."""
    solved: list[bytes] = []

    def counted(problem: AntennaProblem, design: Design) -> FineSolve:
        solved.append(design.key)
        return solve_fine(problem, design)

    for module in ("domain", "verify.verification"):
        monkeypatch.setattr(f"search.domains.antenna.{module}.solve_fine", counted)
    problem = parse(job(margin_db=10.0), {}, tmp_path)
    solution = AntennaSolution(design=PATCH, objective_db=0.0)
    domain = build()
    domain.verify(problem, solution)
    domain.produce(problem, solution, tmp_path)
    assert len(solved) == 1
    build().produce(problem, solution, tmp_path)
    assert len(solved) == 2
