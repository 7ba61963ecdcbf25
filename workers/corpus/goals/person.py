"""Person who wrote a goal: answers one closed question from the reference graph.

The issue counts a goal that is right after at most one closed question, wherever that question
comes from. A person who knows the plan that they want chooses the option that leads to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from trimtab.plans import Question
from workers.corpus.goals.judge import Judgement, Plan, judge
from workers.corpus.goals.references import Goal, Job

MOST_OPTIONS = 8


def answered_right(
    goal: Goal,
    question: Question,
    tag: str,
    planned: Callable[[str], Plan],
) -> Judgement | None:
    """Return the verdict on the plan after the answer that leads to the reference; else None.

    planned: answer → plan. The person tries the written answer of the reference, the options, and
    the value that the reference has for the slot which the question is about.
    """
    for answer in dict.fromkeys(_answers(goal, question, tag)):
        tags = frozenset((tag,) if tag in goal.answers else ())
        verdict = judge(goal, planned(answer), tags)
        if verdict.right and not verdict.questions:
            return verdict
    return None


def _answers(goal: Goal, question: Question, tag: str) -> Iterator[str]:
    if tag in goal.answers:
        yield goal.answers[tag].text
    if tag in goal.must_ask:
        return
    yield from question.options[:MOST_OPTIONS]
    about = question.about.removeprefix("scope.").removeprefix("spec.")
    for job in goal.graphs[0].jobs:
        yield from _stated(job, about)


def _stated(job: Job, about: str) -> Iterator[str]:
    """Yield the reference's value of a slot as a person types it."""
    if about.startswith("bands"):
        band = [job.set.get(f"spec.bands.0.{edge}") for edge in ("f_lo_hz", "f_hi_hz")]
        if all(edge is not None for edge in band):
            yield " to ".join(f"{float(str(edge)) / 1e9:g} GHz" for edge in band)
        return
    for path, value in job.set.items():
        if path.removeprefix("spec.").replace(".0.", ".") == about.replace(".0.", "."):
            yield _typed(value)


def _typed(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
