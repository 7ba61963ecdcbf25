"""Plans whose jobs have ended, out of recorded results of real runs (`recorded.json`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.domains.plan.ledger import ledger_of
from search.domains.plan.report.write import write_report
from search.domains.plan.reports import Report
from search.rest import EndedJob
from search.stop import TimeLimit
from trimtab.plans import Goal, Leaf, NotDone, Origin, Outline, Question, Seconds, Stage
from trimtab.results import JobState

RECORDED = Path(__file__).with_name("recorded.json")
# Recorded with `python -m workers batch` on 30 November 2026, 2 cores; shortened.
GOALS: Mapping[str, Sequence[str]] = {
    "Solve hard.lp with 2 engines": ("highs", "scip", "infeasible"),
    "Place 60 tables on GPUs": ("eight-devices", "sixteen-devices", "tables-too-large"),
    "Shrink two programs": ("checksum", "does-not-compile"),
    "Design antennas": ("patch", "band-missed", "never-started"),
}
Plan = tuple[Outline, dict[str, EndedJob]]


def recorded() -> dict[str, EndedJob]:
    """Return the recorded jobs by name."""
    rows: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return {
        name: EndedJob(**{**row, "state": JobState(row["state"])})
        for name, row in rows.items()
    }


def plan_of(goals: Mapping[str, Sequence[str]] = GOALS, **fields: Any) -> Plan:
    """Return an outline with one goal for each title, and its jobs by leaf."""
    jobs = recorded()
    outline: dict[str, Any] = {"goals": {}, "stages": {}, "leaves": {}}
    ended = {}
    for number, (title, names) in enumerate(goals.items(), start=1):
        goal, stage = f"g{number}", f"s{number}"
        outline["goals"][goal] = Goal(title=title)
        outline["stages"][stage] = Stage(title="Run", goal=goal)
        for name in names:
            leaf = f"l{len(outline['leaves']) + 1}"
            kind = jobs[name].kind if name in jobs else "ilp"
            outline["leaves"][leaf] = Leaf(
                title=f"Run {name}",
                stage=stage,
                kind=kind,
                spec={},
                seconds=Seconds(p50=1.0, p90=2.0),
                origin=Origin(source="template", id="t"),
            )
            if name in jobs:
                ended[leaf] = jobs[name]
    outline["goal"] = "; ".join(goals)
    return Outline(**{**outline, **fields}), ended


def hostile_plan(text: str) -> Plan:
    """Return a plan in which every text of its owner is `text`, and jobs failed with it."""
    outline, jobs = plan_of()
    jobs = {
        leaf: EndedJob(
            **{
                **vars(job),
                "termination": {**(job.termination or {}), "detail": text},
            }
        )
        for leaf, job in jobs.items()
    }
    leaves = {
        name: leaf.model_copy(update={"title": text, "defaults": {"spec.x": text}})
        for name, leaf in outline.leaves.items()
    }
    changed = outline.model_copy(
        update={
            "goal": text,
            "goals": {name: Goal(title=text) for name in outline.goals},
            "leaves": leaves,
            "not_done": (NotDone(text=text, reason=text),),
            "notes": (text,),
            "questions": {"q1": Question(text=text, about="file", options=(text,))},
            "answers": {"q1": text},
        }
    )
    return changed, jobs


def report_of(plan: Plan, *, seed: int = 1) -> Report:
    """Return the report of a plan by templates alone."""
    outline, jobs = plan
    facts = ledger_of(outline, jobs)
    return write_report(outline, jobs, facts, model=None, stop=TimeLimit(60.0), seed=seed)
