from __future__ import annotations

import re
from dataclasses import replace

from search.domains.plan.ledger import ledger_of
from search.domains.plan.types import Fact
from tests.search.domains.plan.ended import plan_of


def by_name(facts: tuple[Fact, ...], leaf: str) -> dict[str, Fact]:
    return {fact.name: fact for fact in facts if fact.leaf == leaf}


def test_figures_are_those_of_the_recorded_results() -> None:
    """Read by hand from `recorded.json`."""
    facts = ledger_of(*plan_of())
    highs, eight, patch = (by_name(facts, leaf) for leaf in ("l1", "l4", "l9"))
    assert (highs["objective"].value, highs["objective"].shown) == ("1824.0", "1,824")
    assert (highs["gap"].value, highs["gap"].shown) == ("0.02040816326530612", "2.04")
    assert highs["objective"].verified == "verified"
    assert highs["gap"].verified == "measured, not verified"
    assert highs["best_seconds"].pointer.startswith("/result/trace/")
    assert (eight["objective"].shown, eight["objective"].unit) == ("2.51", "ms")
    assert (eight["rival"].value, eight["rival_cost"].shown) == ("neuroshard", "2.59")
    # 100 × (2.5900476562934305 - 2.51479929655695) / 2.5900476562934305
    assert eight["below_rival"].shown == "2.91"
    assert eight["what_if_cheaper.1"].value is True
    assert eight["what_if_cheaper.0"].value is False
    assert (patch["band_low.0"].shown, patch["band_low.0"].unit) == ("5.15", "GHz")
    assert patch["within.0"].value is True


def test_ids_are_unique_and_of_letters_alone() -> None:
    ids = [fact.id for fact in ledger_of(*plan_of())]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z]+", one) for one in ids)


def test_runs_on_one_problem_are_compared_and_others_not() -> None:
    plan = by_name(ledger_of(*plan_of()), "")
    groups = {name.rpartition(".")[0] for name in plan if name.endswith(".best")}
    # Two engines on hard.lp; two numbers of devices for one list of tables. The two antennas have
    # other bands, and the other model is another problem.
    assert groups == {"group.g1.0", "group.g2.1"}
    assert plan["group.g1.0.differ_in"].value == "engine"
    assert plan["group.g1.0.tied"].value is True
    assert plan["group.g2.1.distance.l4"].shown == "45.6"


def test_an_unverified_result_is_not_compared() -> None:
    outline, jobs = plan_of()
    result = dict(jobs["l2"].result or {})
    result["verification"] = {**result["verification"], "status": "not_checked"}
    jobs["l2"] = replace(jobs["l2"], result=result)
    plan = by_name(ledger_of(outline, jobs), "")
    assert not [name for name in plan if name.startswith("group.g1")]


def test_what_is_missing_or_no_number_has_no_fact() -> None:
    outline, jobs = plan_of()
    result = dict(jobs["l1"].result or {})
    result |= {"objective": float("nan"), "gap": None, "bound": "12"}
    jobs["l1"] = replace(jobs["l1"], result=result)
    names = by_name(ledger_of(outline, jobs), "l1")
    assert not {"objective", "gap", "bound", "improvement"} & set(names)


def test_counts_cover_jobs_that_failed_and_never_ran() -> None:
    plan = by_name(ledger_of(*plan_of()), "")
    counts = {n[6:]: f.value for n, f in plan.items() if n.startswith("count.")}
    assert counts["leaves"] == "11"
    assert (counts["succeeded"], counts["failed"], counts["not_run"]) == ("8", "2", "1")
    assert plan["all_succeeded"].value is False
