"""Gate for candidates: smaller ones that behave the same become incumbents, others do not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from search.domains.compile.search.behaviour import Verdict
from search.domains.compile.search.incumbents import Accepted, Incumbents, value_of
from solvers.llvm.engine import CandidateFailed
from solvers.llvm.types import Measured, Metric, Outcome, Recipe, Sizes


def candidate(name: str, size: int, outcome: Outcome = Outcome.OK) -> Measured:
    sizes = Sizes(ir_instructions=size) if outcome is Outcome.OK else None
    return Measured(
        recipe=Recipe(pipeline=name),
        outcome=outcome,
        seconds=0.0,
        sizes=sizes,
        ir_sha256=name,
    )


class Gate:
    """Incumbents with a stand-in for engine and oracle: names that begin with "bad" differ."""

    def __init__(self, verdict: Verdict | None = None) -> None:
        self.builds: list[str] = []
        self.reported: list[Accepted] = []
        self._verdict = verdict
        self.incumbents = Incumbents(
            engine=cast("Any", SimpleNamespace(build=self._build)),
            oracle=cast("Any", SimpleNamespace(compare=self._compare)),
            metric=Metric.IR_INSTRUCTIONS,
            build_id="llvm",
            report=self.reported.append,
        )

    def _build(self, recipe: Recipe) -> Any:
        self.builds.append(recipe.pipeline)
        if recipe.pipeline == "fails":
            failed = candidate("fails", 0, Outcome.CRASHED)
            raise CandidateFailed(failed)
        return SimpleNamespace(object=recipe.pipeline)

    def _compare(self, code: Any) -> Verdict:
        if self._verdict is not None:
            return self._verdict
        bad = str(code).startswith("bad")
        return Verdict(equal=not bad, compared=1, detail="stdout" if bad else "")


def test_smaller_candidates_become_incumbents_and_larger_are_not_built() -> None:
    gate = Gate()
    assert gate.incumbents.offer("a", candidate("a", 10))
    assert not gate.incumbents.offer("b", candidate("b", 10))
    assert gate.incumbents.offer("c", candidate("c", 9))
    assert gate.builds == ["a", "c"]
    assert [accepted.value for accepted in gate.reported] == [10.0, 9.0]


def test_a_larger_candidate_can_be_accepted_without_becoming_the_incumbent() -> None:
    gate = Gate()
    gate.incumbents.offer("a", candidate("a", 10))
    assert gate.incumbents.accept("b", candidate("b", 12))
    assert gate.incumbents.best is not None
    assert gate.incumbents.best.name == "a"
    assert len(gate.reported) == 1


def test_a_differing_candidate_is_quarantined_and_not_built_again() -> None:
    gate = Gate()
    for _ in range(2):
        assert not gate.incumbents.offer("bad", candidate("bad", 5))
    assert gate.builds == ["bad"]
    (quarantined,) = gate.incumbents.quarantined
    assert (quarantined.why, quarantined.objective) == ("stdout", 5.0)


def test_stopped_comparisons_and_failed_builds_are_not_quarantined() -> None:
    stopped = Gate(Verdict(equal=False, compared=0, stopped=True))
    assert not stopped.incumbents.offer("a", candidate("a", 5))
    failed = Gate()
    assert not failed.incumbents.offer("fails", candidate("fails", 5))
    assert not failed.incumbents.offer("t", candidate("t", 5, Outcome.TIMEOUT))
    assert stopped.incumbents.quarantined == failed.incumbents.quarantined == []


def test_a_program_built_before_is_not_built_again() -> None:
    gate = Gate()
    measured = candidate("a", 10)
    gate.incumbents.built = {measured.program: cast("Any", SimpleNamespace(object="a"))}
    assert gate.incumbents.offer("a", measured)
    assert gate.builds == []


def test_reset_forgets_incumbent_and_quarantine() -> None:
    gate = Gate()
    gate.incumbents.offer("a", candidate("a", 10))
    gate.incumbents.offer("bad", candidate("bad", 5))
    gate.incumbents.reset()
    assert (gate.incumbents.best, gate.incumbents.quarantined) == (None, [])
    assert gate.incumbents.offer("b", candidate("b", 11))


def test_failed_candidates_are_infinitely_large() -> None:
    assert value_of(candidate("a", 3), Metric.IR_INSTRUCTIONS) == 3.0
    failed = candidate("a", 0, Outcome.CRASHED)
    assert value_of(failed, Metric.IR_INSTRUCTIONS) == float("inf")
