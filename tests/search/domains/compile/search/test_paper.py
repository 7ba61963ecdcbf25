"""Paper mode: passes are counted as in the paper, tiers hold, a job gives a checked answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from cost_models.weights import FOLDER, WeightsRefused, manifest
from search import pipeline
from search.domains.compile import build
from search.domains.compile.search import paper
from search.pipeline import Finished
from search.stop import from_budget
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Measured, Metric, Outcome, Recipe, Sizes, Target
from tests.search.domains.compile.test_domain import PROGRAM
from trimtab.errors import SpecError
from trimtab.results import Limit, VerificationStatus
from trimtab.specs.compile import CompileSpec, Language, Mode, Objective, Tier

SEQUENCES = (("a", "b"), ("c", "d", "e"), (), ("f",))
COUNTS = {"a": 90, "b": 80, "c": 100, "d": 70, "e": 75, "f": 65}


class Program:
    """Stand-in for an engine: COUNTS has the count after each pass; `crashes` names a bad pass."""

    def __init__(self, crashes: str = "") -> None:
        self.info, self.crashes = SimpleNamespace(ir_instructions=120), crashes
        self.trajectories: list[tuple[str, ...]] = []

    def trajectory(self, passes: Sequence[str], *, stopped: Any) -> list[int]:
        """Stand in for Engine.trajectory."""
        self.trajectories.append(tuple(passes))
        if passes[0] == self.crashes:
            raise CandidateFailed(
                Measured(recipe=Recipe(pipeline=""), outcome=Outcome.CRASHED, seconds=0.0)
            )
        return [120, *(COUNTS[text] for text in passes)]

    def measure(self, recipes: Sequence[Recipe], *, stopped: Any) -> list[Measured]:
        """Stand in for Engine.measure."""
        return [
            Measured(
                recipe=recipe,
                outcome=Outcome.OK,
                seconds=0.0,
                sizes=Sizes(ir_instructions=COUNTS[recipe.pipeline.split(",")[-1]]),
            )
            for recipe in recipes
        ]


def roll(
    program: Program,
    order: Sequence[int],
    passes: int,
    *,
    least: int = 85,
    accepts: bool = True,
) -> Any:
    offered: list[str] = []

    def offer(name: str, measured: Measured) -> bool:
        offered.append(name)
        return accepts

    rolled_out = paper.roll_out(
        cast("Engine", program),
        SEQUENCES,
        order,
        least=least,
        passes=passes,
        offer=offer,
        stopped=lambda: False,
    )
    return rolled_out, offered


def test_passes_are_the_budget_and_the_last_sequence_is_cut() -> None:
    program = Program()
    rolled_out, offered = roll(program, [0, 1, 2, 3], 4)
    assert program.trajectories == [("a", "b"), ("c", "d")]
    assert (rolled_out.passes, rolled_out.sequences) == (4, 2)
    assert offered == ["sequence-1:2", "sequence-2:2"]
    assert [measured.recipe.pipeline for _, measured in rolled_out.table] == [
        "a,b",
        "c,d",
    ]


def test_the_shortest_best_prefix_is_offered_only_where_it_beats_the_best() -> None:
    program = Program()
    rolled_out, offered = roll(program, [1, 0, 3], 45)
    assert offered == ["sequence-2:2", "sequence-4:1"], "b leaves 80, which 70 beats"
    assert rolled_out.passes == 6
    assert roll(Program(), [0, 1, 3], 45, least=60)[1] == []


def test_a_refused_prefix_does_not_become_the_one_to_beat() -> None:
    assert roll(Program(), [1, 0], 45, accepts=False)[1] == [
        "sequence-2:2",
        "sequence-1:2",
    ]


def test_a_sequence_that_crashes_llvm_counts_and_is_skipped() -> None:
    rolled_out, offered = roll(Program(crashes="a"), [0, 3], 45)
    assert offered == ["sequence-4:1"]
    assert rolled_out.passes == 3


def test_the_default_tier_has_only_passes_of_default_pipelines() -> None:
    sequences = (
        ("function(gvn)", "mergefunc", "function(loop(loop-rotate))"),
        ("iroutliner",),
    )
    defaults = {"Oz": "function(gvn,loop(loop-rotate))"}
    assert paper.allowed(sequences, defaults, Tier.DEFAULT) == (
        ("function(gvn)", "function(loop(loop-rotate))"),
        (),
    )
    assert paper.allowed(sequences, defaults, Tier.EXPERIMENTAL) == sequences


def test_no_tier_runs_the_attributor() -> None:
    assert any("attributor" in passes for passes in paper.load_sequences()), (
        "it was in the search space"
    )
    defaults = {"Oz": "function(gvn)"}
    for tier in Tier:
        assert paper.allowed((("attributor", "function(gvn)"),), defaults, tier) == (
            ("function(gvn)",),
        )


def test_the_published_files_fit_together() -> None:
    sequences = paper.load_sequences()
    assert 10 <= len(sequences) <= 50
    assert all(1 <= len(passes) <= paper.PASSES for passes in sequences)
    with Engine(bitcode(PROGRAM)) as engine:
        ordered = paper.order_sequences(engine, sequences)
        errors = engine.check(sorted({text for passes in sequences for text in passes}))
    assert sorted(ordered.order) == list(range(len(sequences)))
    if paper.POLICY in manifest():
        assert ordered.files == [paper.SEQUENCES, paper.POLICY]
        assert ordered.policy == "order by GEAN, normalised value prediction"
    else:
        assert ordered.files == [paper.SEQUENCES]
        assert ordered.policy.startswith("greedy")
    assert [error for error in errors if error] == [], "passes that LLVM does not know"


def test_a_network_for_other_sequences_is_not_used() -> None:
    if paper.POLICY not in manifest():
        pytest.skip("no network is published")
    sequences = paper.load_sequences()[1:]
    with Engine(bitcode(PROGRAM)) as engine:
        ordered = paper.order_sequences(engine, sequences)
    assert list(ordered.order) == list(range(len(sequences)))
    assert "trained for others" in ordered.policy
    assert ordered.files == [paper.SEQUENCES]


def test_large_programs_keep_the_greedy_order() -> None:
    program = Program()
    program.info.ir_instructions = paper.MOST_INSTRUCTIONS + 1
    ordered = paper.order_sequences(cast("Engine", program), SEQUENCES, FOLDER)
    assert list(ordered.order) == [0, 1, 2, 3]
    assert ordered.policy.startswith("greedy order")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsRefused, match="compile-paper-sequences"):
        paper.load_sequences(tmp_path)


def bitcode(source: str) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.c"
        path.write_text(source)
        return compile_to_bitcode([path], workdir=Path(folder), target=Target())[0]


def job(folder: Path, *, stop: threading.Event | None = None, **budget: Any) -> Finished:
    spec = CompileSpec(
        source_text=PROGRAM,
        language=Language.C,
        mode=Mode.PAPER,
        objective=Objective.IR_INSTRUCTIONS,
    )
    folder.mkdir(parents=True)
    return pipeline.run(
        build(),
        spec,
        inputs={},
        workdir=folder,
        stop=from_budget({"seconds": 30.0} | budget, stop or threading.Event()),
        seed=1,
    )


def test_a_job_in_paper_mode(tmp_path: Path) -> None:
    first, again = (job(tmp_path / name).result for name in ("one", "two"))
    assert first.verification.status is VerificationStatus.VALID
    assert first.summary["policy"].endswith("45 passes")
    assert first.summary["pipelines_tried"] >= 2
    assert first.objective <= first.summary["oz"]
    assert (first.objective, first.summary["found_by"]) == (
        again.objective,
        again.summary["found_by"],
    )
    assert paper.SEQUENCES in first.weights


def test_a_budget_of_evaluations_counts_passes(tmp_path: Path) -> None:
    result = job(tmp_path / "few", evaluations=7).result
    assert result.summary["policy"].endswith("7 passes")
    assert result.termination.limit is Limit.EVALUATIONS


def test_other_objectives_are_refused() -> None:
    with pytest.raises(
        SpecError, match="expected ir_instructions with mode paper, got loadable_bytes"
    ):
        CompileSpec(source_text="int x;", mode=Mode.PAPER)
    assert Metric(Objective.IR_INSTRUCTIONS.value) is Metric.IR_INSTRUCTIONS


def test_the_order_is_that_of_the_logits() -> None:
    if paper.POLICY not in manifest():
        pytest.skip("no network is published")
    sequences = paper.load_sequences()
    with Engine(bitcode(PROGRAM)) as engine:
        order = list(paper.order_sequences(engine, sequences).order)
        weights = paper.load_weights(paper.POLICY)
        net = paper.Gean(
            {name: array for name, array in weights.items() if name != "sequences"}
        )
        logits = net.logits(paper.graph_arrays(engine.graph()))
    assert (np.diff(logits[order]) <= 0).all()
