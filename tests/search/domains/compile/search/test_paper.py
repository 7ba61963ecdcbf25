"""Mode paper: passes are counted as the paper counts them, the tier holds, a job goes from source to a checked answer."""

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
    """Stands for an engine: a pass leaves the count that COUNTS has for it; `dies` is a pass that ends LLVM."""

    def __init__(self, dies: str = "") -> None:
        self.info, self.dies = SimpleNamespace(ir_instructions=120), dies
        self.asked: list[tuple[str, ...]] = []

    def trajectory(self, passes: Sequence[str], *, stopped: Any) -> list[int]:
        """As Engine.trajectory."""
        self.asked.append(tuple(passes))
        if passes[0] == self.dies:
            raise CandidateFailed(
                Measured(recipe=Recipe(pipeline=""), outcome=Outcome.CRASHED, seconds=0.0)
            )
        return [120, *(COUNTS[text] for text in passes)]

    def measure(self, recipes: Sequence[Recipe], *, stopped: Any) -> list[Measured]:
        """As Engine.measure."""
        return [
            Measured(
                recipe=recipe,
                outcome=Outcome.OK,
                seconds=0.0,
                sizes=Sizes(ir_instructions=COUNTS[recipe.pipeline.split(",")[-1]]),
            )
            for recipe in recipes
        ]


def rolled(
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

    found = paper.roll_out(
        cast("Engine", program),
        SEQUENCES,
        order,
        least=least,
        passes=passes,
        offer=offer,
        stopped=lambda: False,
    )
    return found, offered


def test_passes_are_the_budget_and_the_last_sequence_is_cut() -> None:
    program = Program()
    found, offered = rolled(program, [0, 1, 2, 3], 4)
    assert program.asked == [("a", "b"), ("c", "d")]
    assert (found.passes, found.sequences) == (4, 2)
    assert offered == ["sequence-1:2", "sequence-2:2"]
    assert [measured.recipe.pipeline for _, measured in found.table] == ["a,b", "c,d"]


def test_the_shortest_best_prefix_is_offered_only_where_it_beats_the_best() -> None:
    program = Program()
    found, offered = rolled(program, [1, 0, 3], 45)
    assert offered == ["sequence-2:2", "sequence-4:1"], "b leaves 80, which 70 beats"
    assert found.passes == 6
    assert rolled(Program(), [0, 1, 3], 45, least=60)[1] == []


def test_what_is_refused_does_not_become_the_one_to_beat() -> None:
    assert rolled(Program(), [1, 0], 45, accepts=False)[1] == [
        "sequence-2:2",
        "sequence-1:2",
    ]


def test_a_sequence_that_ends_llvm_is_paid_for_and_passed_over() -> None:
    found, offered = rolled(Program(dies="a"), [0, 3], 45)
    assert offered == ["sequence-4:1"]
    assert found.passes == 3


def test_the_default_tier_leaves_out_what_no_default_pipeline_has() -> None:
    given = (("function(gvn)", "mergefunc", "function(loop(loop-rotate))"), ("iroutliner",))
    defaults = {"Oz": "function(gvn,loop(loop-rotate))"}
    assert paper.allowed(given, defaults, Tier.DEFAULT) == (
        ("function(gvn)", "function(loop(loop-rotate))"),
        (),
    )
    assert paper.allowed(given, defaults, Tier.EXPERIMENTAL) == given


def test_no_tier_runs_the_attributor() -> None:
    assert any("attributor" in passes for passes in paper.load_sequences()), (
        "it was among what was searched"
    )
    defaults = {"Oz": "function(gvn)"}
    for tier in Tier:
        assert paper.allowed((("attributor", "function(gvn)"),), defaults, tier) == (
            ("function(gvn)",),
        )


def test_what_ships_fits_together() -> None:
    sequences = paper.load_sequences()
    assert 10 <= len(sequences) <= 50
    assert all(1 <= len(passes) <= paper.PASSES for passes in sequences)
    with Engine(bitcode(PROGRAM)) as engine:
        order, how, used = paper.ask(engine, sequences)
        known = engine.check(sorted({text for passes in sequences for text in passes}))
    assert sorted(order) == list(range(len(sequences)))
    assert (
        used == [paper.SEQUENCES, paper.POLICY]
        if paper.POLICY in manifest()
        else [paper.SEQUENCES]
    )
    assert (
        how == "order by GEAN, normalised value prediction"
        if paper.POLICY in used
        else how.startswith("greedy")
    )
    assert [said for said in known if said] == [], "passes that LLVM does not know"


def test_a_net_for_other_sequences_is_not_asked() -> None:
    if paper.POLICY not in manifest():
        pytest.skip("no net ships")
    sequences = paper.load_sequences()[1:]
    with Engine(bitcode(PROGRAM)) as engine:
        order, how, used = paper.ask(engine, sequences)
    assert order == list(range(len(sequences)))
    assert "trained for others" in how
    assert used == [paper.SEQUENCES]


def test_large_programs_keep_the_greedy_order() -> None:
    program = Program()
    program.info.ir_instructions = paper.MOST_INSTRUCTIONS + 1
    order, how, _ = paper.ask(cast("Engine", program), SEQUENCES, FOLDER)
    assert order == [0, 1, 2, 3]
    assert how.startswith("greedy order")


def test_without_the_file_it_is_told(tmp_path: Path) -> None:
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


def test_a_job_in_mode_paper(tmp_path: Path) -> None:
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
        SpecError, match="mode paper counts IR instructions; objective loadable_bytes came"
    ):
        CompileSpec(source_text="int x;", mode=Mode.PAPER)
    assert Metric(Objective.IR_INSTRUCTIONS.value) is Metric.IR_INSTRUCTIONS


def test_the_order_is_that_of_the_logits() -> None:
    if paper.POLICY not in manifest():
        pytest.skip("no net ships")
    sequences = paper.load_sequences()
    with Engine(bitcode(PROGRAM)) as engine:
        order, _, _ = paper.ask(engine, sequences)
        weights = paper.load_weights(paper.POLICY)
        net = paper.Gean(
            {name: array for name, array in weights.items() if name != "sequences"}
        )
        logits = net.logits(paper.graph_arrays(engine.graph()))
    assert (np.diff(logits[order]) <= 0).all()
