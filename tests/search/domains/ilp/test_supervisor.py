"""What the supervisor hands to the processes of a run."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from search import pipeline
from search.domains.ilp import build, supervisor
from search.domains.ilp.board import Place
from search.domains.ilp.processes import jump_pays, run_jump, worth_injecting
from search.domains.ilp.supervisor import _job_seed
from search.isolation import NativeProcess
from search.stop import from_budget
from solvers.feasibility import is_feasible
from tests.search.models import milp, random_cover
from trimtab.results import Incumbent, VerificationStatus
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import IlpSpec
from workers.corpus import integer_programs


def test_the_engine_starts_from_the_seed_of_the_job() -> None:
    rng = np.random.default_rng(7)
    assert _job_seed(rng) == 7
    assert rng.random() == np.random.default_rng(7).random(), "nothing was drawn for it"
    spawned = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1, 2])))
    assert 0 <= _job_seed(spawned) < 2**31, (
        "a seed of several words has no number: one is drawn"
    )


def test_the_jump_finds_a_good_packing_before_any_lp() -> None:
    model = integer_programs.generate("independent-set", "1/5", 501)
    place = Place(model.n)
    process = NativeProcess("jump", run_jump(model, mine=place, seconds=2.0, seed=0))
    while process.alive:
        pass
    process.raise_for_end()
    process.close()
    found = place.better_than(0.0)
    assert found is not None
    assert is_feasible(model, found[1])
    assert found[0] == model.objective(found[1]) < -390


def test_where_the_jump_is_tried() -> None:
    assert jump_pays(random_cover(9, 13, 1))
    assert jump_pays(milp([-1, -1], [(-np.inf, [1, 1], 1)]))
    assert not jump_pays(milp([1, 1], [(1, [1, 1], 1)])), (
        "partitioning: the LP knows better"
    )
    assert not jump_pays(milp([1, 1], [(2, [1, 3], np.inf)]))
    assert not jump_pays(milp([1, 1], [])), "nothing to keep"


def test_a_jump_that_crashes_costs_the_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    monkeypatch.setattr(
        supervisor,
        "run_jump",
        lambda model, **given: lambda say: os.kill(os.getpid(), signal.SIGKILL),
    )
    file = tmp_path / "model.mps"
    integer_programs.write_mps(integer_programs.generate("auction", "1/5", 501), file)
    points: list[Incumbent] = []
    result = pipeline.run(
        build(),
        IlpSpec(model=ArtifactRef(digest="sha256:" + "0" * 64, name=file.name)),
        inputs={"model": file},
        workdir=tmp_path,
        stop=from_budget({"seconds": 4.0}, threading.Event()),
        seed=1,
        callbacks=pipeline.Callbacks(on_incumbent=points.append),
    ).result
    assert result.verification.status is VerificationStatus.VALID
    assert any(
        "the feasibility jump died by SIGKILL" in str(note)
        for note in result.summary["notes"]
    )
    assert result.bound is not None, "the root LP comes after it all the same"


@pytest.mark.parametrize(
    ("objective", "bound", "injected"),
    [
        (160.0, 119.0, True),  # a set cover
        (-2_100.0, -2_973.0, True),  # an independent set
        (5.0, 5.0, True),
        (0.0, 0.0, True),
        (6.5e9, 9.9e5, False),  # a solution full of penalties
        (1.0, -1.0, False),
        (40.0, 0.0, False),
        (40.0, -np.inf, False),
    ],
)
def test_only_solutions_near_its_bound_are_injected_into_the_engine(
    objective: float, bound: float, injected: bool
) -> None:
    assert worth_injecting(objective, bound) is injected
