"""Run of one integer program: its processes, their messages, and its steps."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search import pipeline
from search.domains.ilp import build
from search.domains.ilp.search import supervisor
from search.domains.ilp.search.messages import (
    EngineEnded,
    Iterated,
    NewIncumbent,
    Note,
    Role,
    RunMessage,
    SearchStarted,
    Statistics,
)
from search.domains.ilp.search.supervisor import Run, job_seed
from search.stop import from_budget
from search.types import InvalidInput
from solvers.types import MilpModel
from tests.search.domains.ilp.search.runs import StandInProcess, problem_of
from tests.search.models import random_cover
from trimtab.results import Incumbent, Reason, VerificationStatus
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import IlpSpec
from workers.corpus import integer_programs


def test_the_engine_starts_from_the_seed_of_the_job() -> None:
    rng = np.random.default_rng(7)
    assert job_seed(rng) == 7
    assert rng.random() == np.random.default_rng(7).random(), "nothing was drawn for it"
    spawned = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1, 2])))
    assert 0 <= job_seed(spawned) < 2**31, (
        "a seed of several words has no number: one is drawn"
    )


def test_a_jump_that_crashes_costs_the_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    monkeypatch.setattr(
        supervisor,
        "run_jump",
        lambda model, **parts: lambda say: os.kill(os.getpid(), signal.SIGKILL),
    )
    file = tmp_path / "model.mps"
    integer_programs.write_mps(integer_programs.generate("auction", "1/5", 501), file)
    solve_root, roots = supervisor.solve_root, list[MilpModel]()

    def recorded(model: MilpModel, *parts: Any, **more: Any) -> Any:
        roots.append(model)
        return solve_root(model, *parts, **more)

    monkeypatch.setattr(supervisor, "solve_root", recorded)
    result = pipeline.run(
        build(),
        IlpSpec(model=ArtifactRef(digest="sha256:" + "0" * 64, name=file.name)),
        inputs={"model": file},
        workdir=tmp_path,
        stop=from_budget({"seconds": 4.0}, threading.Event()),
        seed=1,
    ).result
    assert result.verification.status is VerificationStatus.VALID
    assert any(
        "the feasibility jump died by SIGKILL" in str(note)
        for note in result.summary["notes"]
    )
    assert roots, "the root LP comes after it all the same"


def run_of(model: MilpModel, folder: Path, **more: Any) -> Run:
    stop = from_budget({"seconds": 60.0}, threading.Event())
    run = Run(problem_of(model, folder, **more), stop, lambda point, x: None)
    processes: Any = {Role.ENGINE: StandInProcess(), Role.LNS: StandInProcess()}
    run.processes = processes
    return run


def receive(run: Run, role: Role, *messages: RunMessage) -> None:
    process: Any = StandInProcess(*messages)
    run.processes[role] = process
    run._receive()


def test_messages_go_into_the_state(tmp_path: Path) -> None:
    run = run_of(random_cover(9, 13, 1), tmp_path)
    start = SearchStarted(objective=9.0, heuristic="construction")
    figures = Statistics(arms={}, solver_seconds=0.5)
    messages = (start, NewIncumbent(source="lns:rins"), Iterated(), Iterated(), figures)
    receive(run, Role.LNS, *messages, Note(text="a note"))
    receive(run, Role.ENGINE, NewIncumbent(), EngineEnded(reason="feasible", nodes=3))
    state = run.state
    assert (state.lns_start, state.lns_statistics) == (start, figures)
    assert state.lns_source == "lns:rins", "the engine's incumbents do not change it"
    assert state.lns_iterations == 2
    assert state.notes[-1] == "a note"
    assert state.engine_end == EngineEnded(reason="feasible", nodes=3)


def test_solutions_are_credited_to_their_finder(tmp_path: Path) -> None:
    model = random_cover(9, 13, 1)
    run = run_of(model, tmp_path)
    run.state.lns_source = "lns:rins"
    run.slots.lns.put(7.0, np.ones(model.n))
    run.slots.engine.put(7.0, np.ones(model.n))
    assert run._read_incumbents()
    assert run.state.source == "lns:rins", "the engine has it from the search"
    run.slots.engine.put(6.0, np.ones(model.n))
    assert run._read_incumbents()
    assert run.state.source == "highs"
    assert not run._read_incumbents()


def test_the_better_bound_counts(tmp_path: Path) -> None:
    run = run_of(random_cover(9, 13, 1), tmp_path)
    assert not run._read_bound()
    run.slots.engine.put_bound(3.0)
    assert run._read_bound()
    assert (run.state.bound, run.state.bound_by) == (3.0, "highs")
    assert not run._read_bound(), "it has not changed"


@pytest.mark.parametrize(
    ("alive", "cpu_s", "jump", "lns", "ends"),
    [
        (True, 1.0, np.inf, np.inf, False),
        (True, 1.0, 9.0, np.inf, False),  # the construction is still to come
        (
            True,
            1.0,
            9.0,
            8.0,
            False,
        ),  # its trivial solution is worse than the construction
        (True, 1.0, 7.0, 8.0, True),
        (True, 9.0, np.inf, 8.0, True),  # its time is over
        (False, 1.0, np.inf, 8.0, True),
    ],
)
def test_the_root_lp_follows_the_jump(
    tmp_path: Path, alive: bool, cpu_s: float, jump: float, lns: float, ends: bool
) -> None:
    model = random_cover(9, 13, 1)
    run = run_of(model, tmp_path)
    process: Any = StandInProcess(alive=alive)
    process.cpu_s = cpu_s
    run.processes[Role.JUMP] = process
    run.slots.jump.put(jump, np.ones(model.n))
    run.slots.lns.put(lns, np.ones(model.n))
    seen = {Role.ENGINE, Role.LNS} | ({Role.JUMP} if alive else set())
    run._follow_jump(seen)
    assert (Role.JUMP not in run.processes) is ends
    assert process.closed is ends
    assert (Role.ROOT_LP in run.processes) is ends
    assert (Role.ROOT_LP in seen) is ends, "it is alive, though it started after the look"
    if ends:
        run.processes[Role.ROOT_LP].close()


def test_deaths_are_noted_once(tmp_path: Path) -> None:
    run = run_of(random_cover(9, 13, 1), tmp_path)
    died: Any = StandInProcess(alive=False, died=True)
    run.processes[Role.LNS] = died
    for _ in range(3):
        run._note_ends({Role.ENGINE})
    assert len(run.state.notes) == 1
    assert "SIGKILL" in run.state.notes[0]
    assert run.state.engine_end is None
    run.processes[Role.ENGINE] = died
    run._note_ends(set())
    assert run.state.engine_end == EngineEnded(reason="crashed")


def test_a_root_lp_that_ended_without_a_result_keeps_no_arm_waiting(
    tmp_path: Path,
) -> None:
    run = run_of(random_cover(9, 13, 1), tmp_path)
    ended: Any = StandInProcess(alive=False)
    run.processes[Role.ROOT_LP] = ended
    assert run.slots.root_lp.pending
    run._note_ends({Role.ENGINE, Role.LNS})
    assert not run.slots.root_lp.pending


@pytest.mark.parametrize(
    ("reason", "proved"), [("infeasible", True), ("optimal", True), ("feasible", False)]
)
def test_a_proof_of_the_engine_ends_the_run(
    tmp_path: Path, reason: str, proved: bool
) -> None:
    run = run_of(random_cover(9, 13, 1), tmp_path)
    assert not run._settled()
    receive(run, Role.ENGINE, EngineEnded(reason=reason))
    assert run._settled() is proved


def test_a_refused_file_ends_the_run(tmp_path: Path) -> None:
    run = run_of(random_cover(9, 13, 1), tmp_path, refused="two readings differ")
    with pytest.raises(InvalidInput, match="two readings differ"):
        run.watch()


def test_watching_reports_and_ends_with_the_processes(tmp_path: Path) -> None:
    model = random_cover(9, 13, 1)
    run = run_of(model, tmp_path)
    points: list[Incumbent] = []
    run._on_point = lambda point, x: points.append(point)
    ended: Any = {
        Role.ENGINE: StandInProcess(EngineEnded(reason="feasible"), alive=False),
        Role.LNS: StandInProcess(alive=False),
    }
    run.processes = ended
    run.slots.lns.put(7.0, np.ones(model.n))
    run.watch()
    assert [point.objective for point in points] == [7.0]
    run.close()
    assert all(process.closed for process in ended.values())
    assert run.outcome().termination.reason is Reason.FEASIBLE
