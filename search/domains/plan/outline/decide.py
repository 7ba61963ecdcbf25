"""Ask, propose or refuse: what happens to an outline."""

from __future__ import annotations

import re
from collections.abc import Sequence

from search.domains.plan.outline.candidates import Candidate
from search.domains.plan.types import Reading
from trimtab.outlines import open_questions
from trimtab.plans import Outline, Question
from trimtab.results import JobState

MAX_QUESTIONS = 3
MODEL_NOTE = "language model: "
"""Beginning of a note about the model; such a note does not keep a plan from its start."""
_NUMBER = re.compile(
    r"^\s*([-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([A-Za-z%]*)\s*$"
)
_LONGEST_NUMBER = 40


def own_questions(reading: Reading, unfinished: Sequence[Candidate]) -> list[Question]:
    """Return the reader's questions and those for required values, each subject once."""
    questions = {_subject(row.about): row for row in reading.questions}
    for candidate in unfinished:
        for ask in candidate.missing:
            questions.setdefault(
                _subject(ask.about),
                Question(
                    text=ask.text,
                    about=ask.about,
                    options=ask.options,
                    spans=candidate.spans.get("kind", ()),
                ),
            )
    return list(questions.values())[:MAX_QUESTIONS]


def _subject(about: str) -> str:
    """Return what a question is about, whether or not it names the first entry of a list."""
    return about.removeprefix("spec.").replace(".0.", ".")


def with_answered(outline: Outline, answered: Sequence[tuple[Question, str]]) -> Outline:
    """Return a remade outline with the questions that were answered before, and their answers.

    A question that is asked again, because its answer could not be read, stands once: open.
    """
    open_ = list(outline.questions.values())
    again = {_subject(question.about) for question in open_}
    standing = [row for row in answered if _subject(row[0].about) not in again]
    questions = [*(question for question, _ in standing), *open_]
    return outline.model_copy(
        update={
            "questions": {f"q{i}": question for i, question in enumerate(questions, 1)},
            "answers": {f"q{i}": answer for i, (_, answer) in enumerate(standing, 1)},
        }
    )


def state_of(outline: Outline) -> JobState | None:
    """Return the state in which the plan rests; None when there is nothing to do."""
    if open_questions(outline):
        return JobState.NEEDS_INPUT
    if outline.leaves:
        return JobState.AWAITING_APPROVAL
    return None


def nothing_open(outline: Outline) -> bool:
    """Return whether the plan may start without its owner: all was said, and all is done."""
    return bool(outline.leaves) and not (
        open_questions(outline)
        or outline.not_done
        or outline.not_understood
        or any(not note.startswith(MODEL_NOTE) for note in outline.notes)
        or any(leaf.defaults for leaf in outline.leaves.values())
        or any(leaf.origin.source == "model" for leaf in outline.leaves.values())
    )


def refusal(outline: Outline) -> str:
    """Return why nothing can be done, part by part."""
    reasons = [f"{part.text}: {part.reason}" for part in outline.not_done]
    return "; ".join(reasons)[:2000] or (
        "goal: expected something that a job of trimtab does, got nothing of the kind; see "
        "`trimtab kinds` for what there is"
    )


def typed(answer: str) -> int | float | str:
    """Return an answer as a number if it is one, with or without a unit; else as it is."""
    match = _NUMBER.match(answer[:_LONGEST_NUMBER])
    if match is None or len(answer) > _LONGEST_NUMBER:
        return answer.strip()
    text = match[1].replace(",", "").replace("_", "")
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
