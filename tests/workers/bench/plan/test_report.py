from __future__ import annotations

from pathlib import Path

from search.domains.plan.ledger import ledger_of
from search.domains.plan.report.write import written
from workers.bench.plan import report
from workers.bench.plan.results import plan_of

RECORDED = Path(__file__).parents[3] / "search/domains/plan/recorded.json"


def test_random_results_give_reports_without_a_fault() -> None:
    (line,) = report.fuzz(count=12, seed=1000)
    assert line["slot_precision"] == 1
    assert line["leaf_coverage"] == 1
    assert line["contradictions"] == line["digits_outside_slots"] == 0
    assert line["faults"] == []
    assert line["slots"] > 300


def test_a_wrong_figure_counts_against_precision() -> None:
    """The bench's own reading of the results, apart from that of the check."""
    outline, jobs = report.recorded(RECORDED)
    right = written(outline, jobs, ledger_of(outline, jobs), seed=0)
    facts = tuple(
        fact.model_copy(update={"shown": "1,900"}) if fact.name == "objective" else fact
        for fact in right.facts
    )
    spoilt = right.model_copy(update={"facts": facts})
    assert report._counts(right, jobs)["wrong slots"] == 0
    assert report._counts(spoilt, jobs)["wrong slots"] > 5


def test_a_long_report_has_its_figures() -> None:
    (line,) = report.long_report(report.recorded(RECORDED), None, seed=0)
    assert line["words"] > 2000
    assert line["check"] == "valid"
    assert line["files"]["pdf"]["size"] > 10_000


def test_random_plans_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    assert plan_of(3)[0] == plan_of(3)[0]
    assert plan_of(3)[0] != plan_of(4)[0]
