"""Bench of plans: its suites on few goals, baselines, and that held-out goals stay unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.text_model import TextRequest
from tests.search.domains.plan.goals import load_hostile
from tests.search.domains.plan.goals.load import DEVELOPER
from workers.bench.plan import arms, free, hostile
from workers.bench.plan.cli import main
from workers.corpus.goals import outcomes
from workers.corpus.goals.files import contents
from workers.corpus.goals.references import load


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_goals_are_judged_and_summed(tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    words = ["goals", "--arms", "templates", "keywords", "--limit", "8"]
    assert main([*words, "--out", str(out)]) == 0
    rows = read(out)
    assert len(rows) == 2 * 9
    for arm in ("templates", "keywords"):
        (total,) = [r for r in rows if r["arm"] == arm and r.get("summary")]
        own = [r for r in rows if r["arm"] == arm and not r.get("summary")]
        assert total["goals"] == len(own) == 8
        shares = (
            total[outcomes.MARKED]["count"]
            + total[outcomes.SILENT]["count"]
            + total[outcomes.AFTER_MORE]["count"]
            + total["right after at most one question of any kind"]["count"]
        )
        assert shares == 8
        assert all(row["outcome"] in outcomes.OUTCOMES for row in own)
        assert all(
            bool(row["faults"]) != (row["outcome"] in outcomes.OUTCOMES[:3])
            for row in own
        )
    better, worse = (
        next(r for r in rows if r["arm"] == arm and r.get("summary"))
        for arm in ("templates", "keywords")
    )
    assert better[outcomes.AT_ONCE]["count"] > worse[outcomes.AT_ONCE]["count"]


def test_held_out_goals_show_sums_alone(tmp_path: Path) -> None:
    sealed = tmp_path / "sealed.jsonl"
    sealed.write_text("\n".join(DEVELOPER.read_text().splitlines()[:3]) + "\n")
    out = tmp_path / "lines.jsonl"
    assert main(["goals", "--held-out", str(sealed), "--out", str(out)]) == 0
    (row,) = read(out)
    assert row["held_out"] is True
    assert row["goals"] == 3
    text = out.read_text()
    for goal in load(sealed):
        assert goal.text[:20] not in text
        assert goal.id not in text


# Quoted mail and fenced text are read as the goal's own words; markers as another language.
KNOWN = {"h23", "h24", "h40", "h44"}


def test_hostile_cases_keep_their_property() -> None:
    """A case that is broken is named with its property."""
    planner = arms.planner("templates")
    rows = [hostile._line("templates", planner, case) for case in hostile.cases()]
    assert len(rows) == len(load_hostile.load_hostile())
    broken = {row["case"]: row["broken"] for row in rows if row["broken"]}
    assert {case: names for case, names in broken.items() if case not in KNOWN} == {}


def test_an_arm_has_a_name() -> None:
    with pytest.raises(ValueError, match="expected some of templates, embedded"):
        arms.planner("best")


class _Writer:
    """A model that writes one plan."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.requests: list[TextRequest] = []

    def generate(self, request: TextRequest, ended: Any, **more: Any) -> Any:
        self.requests.append(request)
        return iter([type("T", (), {"text": self.text})()])


def test_a_model_that_writes_the_plan_is_judged_like_an_outline() -> None:
    goal = next(g for g in load(DEVELOPER) if g.id == "g016")
    jobs = [
        {
            "kind": "ilp",
            "file": "crew_feb.mps",
            "spec.engine": "scip",
            "budget.seconds": 1200,
            "budget.target_gap": 0.005,
        }
    ]
    model: Any = _Writer(json.dumps({"jobs": jobs}))
    row = outcomes.judged(free.FreePlanner(model), goal, contents())
    assert row.outcome == outcomes.AT_ONCE
    schema = model.requests[0].grammar.json_schema
    assert schema["properties"]["jobs"]["items"]["anyOf"][0]["properties"]["file"] == {
        "enum": ["crew_feb.mps"]
    }
    cut: Any = _Writer('{"jobs": [')
    row = outcomes.judged(free.FreePlanner(cut), goal, contents())
    assert row.outcome == outcomes.MARKED
    tables = {"kind": "sharding", "file": "t.csv", "spec.devices.0.count": 4}
    plan = free.outline_of("x", json.dumps({"jobs": [tables]}))
    assert plan.outline is not None
    assert plan.outline.leaves["l1"].spec["devices"] == [{"count": 4}]
