"""Suite `goals`: outlines of goals in words, judged against reference graphs.

Each goal counts once: right at once; right after one closed question, which a script answers from
the reference; right after one closed question that the reference does not list, answered by the
option that leads to the reference; wrong and said so (it asks more, refuses, or underlines words
that it did not understand); or silently wrong.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.outlines import open_questions
from trimtab.plans import Leaf, Outline
from workers.bench.stats import quantile, wilson
from workers.corpus.goals.files import Contents
from workers.corpus.goals.judge import Judgement, judge
from workers.corpus.goals.person import answered_right
from workers.corpus.goals.planning import Planned, Plans, with_answers
from workers.corpus.goals.references import Goal

NO_GOALS = ("hostile",)  # files of the folder with other lines
AT_ONCE, AFTER_ONE = "right at once", "right after one question"
AFTER_OWN = "right after one question that the reference does not list"
AFTER_MORE = "right after more questions"
MARKED, SILENT = "wrong, and marked", "silently wrong"
OUTCOMES = (AT_ONCE, AFTER_ONE, AFTER_OWN, AFTER_MORE, MARKED, SILENT)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One goal's result."""

    goal: Goal
    outcome: str
    first: Judgement
    last: Judgement
    planned: Planned
    asked: int

    def line(self, arm: str) -> dict[str, Any]:
        """Return the result as a JSON line."""
        outline = self.planned.plan.outline
        leaves = [] if outline is None else list(outline.leaves.values())
        return {
            "arm": arm,
            "goal": self.goal.id,
            "text": self.goal.text[:200],
            "stratum": self.goal.stratum,
            "outcome": self.outcome,
            "faults": list(self.last.faults),
            "questions": list(self.first.questions),
            "asked": self.asked,
            "met": self.last.met,
            "meant": self.last.meant,
            "planned": self.last.planned,
            "wanted": self.last.wanted,
            "impossible": len(self.goal.not_done),
            "unnamed": sum(t.startswith("does not name") for t in self.first.faults),
            "refused": self.planned.plan.outline is None,
            "open": bool(self.asked or _shown(self.goal, self.planned)),
            "won": dict(Counter(leaf.origin.source for leaf in leaves)),
            "model_candidates": dict(Counter(_fates(leaves))),
            "cpu_s": round(self.planned.cpu_s, 4),
            "wall_s": round(self.planned.wall_s, 4),
        }


def judged(planner: Plans, goal: Goal, content: Contents, *, seed: int = 0) -> Judged:
    """Plan a goal, answer one round of questions from its reference, and judge the end."""
    files = {name: content(name) for name in goal.files}
    first = planned = planner.plan(goal.text, files, seed=seed)
    verdict = last = judge(goal, first.plan)
    outline = first.plan.outline
    if verdict.questions and first.memo is not None and outline is not None:
        answers = _answers(goal, outline, verdict.questions)
        planned = planner.plan(
            goal.text, files, memo=with_answers(first.memo, answers), seed=seed
        )
        if not verdict.faults and goal.graphs[0].jobs:
            last = judge(goal, planned.plan, frozenset(verdict.questions))
    outcome = _outcome(goal, first, verdict, last)
    if outcome == MARKED and len(verdict.questions) == 1 and goal.graphs[0].jobs:
        own = _after_own_question(planner, goal, files, first, verdict, seed)
        outcome, last = (AFTER_OWN, own) if own is not None else (outcome, last)
    return Judged(
        goal=goal,
        outcome=outcome,
        first=verdict,
        last=last,
        planned=planned,
        asked=len(verdict.questions),
    )


def _after_own_question(
    planner: Plans,
    goal: Goal,
    files: Mapping[str, bytes],
    first: Planned,
    verdict: Judgement,
    seed: int,
) -> Judgement | None:
    """Return the verdict after the plan's only question; None if no answer makes it right."""
    outline, memo = first.plan.outline, first.memo
    assert outline is not None
    assert memo is not None
    ((name, question),) = [
        (name, outline.questions[name]) for name in open_questions(outline)
    ]
    return answered_right(
        goal,
        question,
        verdict.questions[0],
        lambda answer: (
            planner.plan(
                goal.text, files, memo=with_answers(memo, {name: answer}), seed=seed
            ).plan
        ),
    )


def _fates(leaves: Sequence[Leaf]) -> Iterator[str]:
    """Yield what became of each candidate of the language model."""
    for leaf in leaves:
        for rival in leaf.origin.rivals:
            if rival.source != "model":
                continue
            same = rival.removed_by == f"duplicates: the same job as {leaf.origin.id}"
            name = rival.removed_by.partition(":")[0]
            yield "same as the chosen" if same else f"removed by {name}"
        if leaf.origin.source == "model":
            yield "chosen"


def _answers(goal: Goal, outline: Outline, tags: Sequence[str]) -> dict[str, str]:
    """Return the person's answers; to each other question the first option."""
    return {
        name: goal.answers[tag].text
        if tag in goal.answers
        else (question.options[0] if question.options else "")
        for (name, question), tag in zip(outline.questions.items(), tags, strict=True)
    }


def _outcome(goal: Goal, first: Planned, verdict: Judgement, last: Judgement) -> str:
    questions = len(verdict.questions)
    if last.right and not questions:
        return AT_ONCE
    if last.right and (questions == 1 or not goal.graphs[0].jobs):
        return AFTER_ONE  # without jobs, asking what to do is the end that was wanted
    if last.right:
        return AFTER_MORE
    return MARKED if questions or _shown(goal, first) else SILENT


def _shown(goal: Goal, planned: Planned) -> bool:
    """Return whether a plan shows by itself that something is missing.

    It refuses, underlines words, or lists more parts as not done than the goal has.
    """
    outline = planned.plan.outline
    if outline is None:
        return True
    return bool(outline.not_understood) or len(outline.not_done) > len(goal.not_done)


def lines(
    arms: Mapping[str, Plans],
    goals: Sequence[Goal],
    content: Contents,
    *,
    held_out: bool,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield one line for each goal and arm, then one summary for each arm.

    Lines of held-out goals say no more than their outcome.
    """
    for arm, planner in arms.items():
        rows = []
        for goal in goals:
            row = judged(planner, goal, content, seed=seed).line(arm)
            rows.append(row)
            if not held_out:
                yield row
        yield summary(arm, rows, held_out=held_out)


def summary(
    arm: str, rows: Sequence[Mapping[str, Any]], *, held_out: bool
) -> dict[str, Any]:
    """Return the figures over all goals of one arm, with Wilson intervals of 95 %."""
    count = len(rows)
    counts = Counter(row["outcome"] for row in rows)
    shares = {
        AT_ONCE: counts[AT_ONCE],
        "right after at most one question": counts[AT_ONCE] + counts[AFTER_ONE],
        "right after at most one question of any kind": counts[AT_ONCE]
        + counts[AFTER_ONE]
        + counts[AFTER_OWN],
        AFTER_MORE: counts[AFTER_MORE],
        # Stricter than silent: underlined words alone do not count as said.
        "wrong, and nothing asked or refused": sum(
            row["outcome"] in (MARKED, SILENT) and not row["asked"] and not row["refused"]
            for row in rows
        ),
        MARKED: counts[MARKED],
        SILENT: counts[SILENT],
    }
    strata: dict[str, list[str]] = {}
    for row in rows:
        strata.setdefault(row["stratum"], []).append(row["outcome"])
    met, meant, planned, in_reference = (
        sum(row[name] for row in rows) for name in ("met", "meant", "planned", "wanted")
    )
    won: Counter[str] = Counter()
    fates: Counter[str] = Counter()
    for row in rows:
        won.update(row["won"])
        fates.update(row["model_candidates"])
    closed = [row for row in rows if not row["open"]]
    held = sum(row["outcome"] == AT_ONCE for row in closed)
    return {
        "arm": arm,
        "summary": True,
        "held_out": held_out,
        "goals": count,
        **{
            name: {
                "count": number,
                "share": _share(number, count),
                "wilson": wilson(number, count),
            }
            for name, number in shares.items()
        },
        "slot_precision": _share(meant, planned),
        "slot_recall": _share(met, in_reference),
        "questions_mean": round(statistics.fmean(row["asked"] for row in rows), 3),
        "questions_median": statistics.median(row["asked"] for row in rows),
        "impossible_parts": sum(row["impossible"] for row in rows),
        "impossible_unnamed": sum(row["unnamed"] for row in rows),
        "right where nothing is open": {
            "count": held,
            "of": len(closed),
            "wilson": wilson(held, len(closed)),
        },
        "leaves_won": dict(won),
        "model_candidates": dict(fates),
        "cpu_s_p50": quantile([row["cpu_s"] for row in rows], 0.5),
        "cpu_s_p95": quantile([row["cpu_s"] for row in rows], 0.95),
        "wall_s_max": max(row["wall_s"] for row in rows),
        "strata": {
            name: dict(Counter(outcomes)) for name, outcomes in sorted(strata.items())
        },
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
