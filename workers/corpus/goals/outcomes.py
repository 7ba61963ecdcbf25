"""What becomes of a goal: planned, one round of questions answered, and judged.


Right at once; right after one closed question, which a script answers from the reference; right
after one closed question that the reference does not list, answered by the option that leads to the
reference; wrong and said so (it asks more, refuses, or underlines words that it did not
understand); or silently wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.outlines import open_questions
from trimtab.plans import Leaf, Outline
from workers.corpus.goals.files import Contents
from workers.corpus.goals.judge import Judgement, judge
from workers.corpus.goals.person import answered_right
from workers.corpus.goals.planning import Planned, Plans, with_answers
from workers.corpus.goals.references import Goal

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
