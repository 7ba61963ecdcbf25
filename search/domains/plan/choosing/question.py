"""One closed question that shows the readings of a goal in plain words, and its answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from search.domains.plan.choosing.forms import Form, form_of
from search.domains.plan.outline.describe import counted, listed, words
from search.domains.plan.types import Reading
from trimtab.plans import Question
from trimtab.specs.common import Spec

ABOUT = "reading"
"""Subject of the question which reading is meant."""
_LETTERS = "ABCDE"
_MOST_TEXT = 380
_CHOSEN = re.compile(r"^\s*([A-Ea-e])\s*(?:[:.)\]]|$)")
_LABELS = {
    "budget.seconds": "time limit",
    "budget.target_gap": "gap",
    "spec.engine": "engine",
}


def question_of(readings: Sequence[Reading], specs: Mapping[str, type[Spec]]) -> Question:
    """Return the question which of two to five readings is meant."""
    texts = [_said(reading, readings, specs) for reading in readings]
    return Question(
        text=f"The goal can be read in {counted(len(readings), 'way')}. Which one is meant?",
        about=ABOUT,
        options=tuple(
            f"{letter}: {text}"[:_MOST_TEXT]
            for letter, text in zip(_LETTERS, texts, strict=False)
        ),
        spans=(),
    )


def chosen(answer: str, count: int) -> int | None:
    """Return the index of the reading that an answer names by its letter; None for none."""
    match = _CHOSEN.match(answer)
    index = _LETTERS.index(match[1].upper()) if match else count
    return index if index < count else None


def _said(
    reading: Reading, readings: Sequence[Reading], specs: Mapping[str, type[Spec]]
) -> str:
    """Return a reading in words: all of its jobs, and their order where readings differ in it."""
    forms = [form_of(wish, specs) for wish in reading.wishes]
    if not forms:
        return "nothing of it is run" + _parts(reading)
    jobs = [_job(form) for form in forms]
    text = f"{counted(len(jobs), 'job')}: " + "; ".join(
        f"({number}) {job}" if len(jobs) > 1 else job
        for number, job in enumerate(jobs, 1)
    )
    return text + _order(reading, forms, readings) + _parts(reading)


def _order(reading: Reading, forms: Sequence[Form], readings: Sequence[Reading]) -> str:
    """Return the order that the goal asks for, if another reading has another one.

    That a job waits for the one whose output it takes is not said again.
    """
    order = [f"job {row.parent + 1} before job {row.child + 1}" for row in reading.order]
    if order and len({len(each.order) for each in readings}) > 1:
        return f"; {listed(order)}"
    waits = any(form.outputs for form in forms)
    if len(forms) > 1 and not order and not waits and any(r.order for r in readings):
        return "; in any order"
    return ""


def _job(form: Form) -> str:
    files = listed(list(dict.fromkeys(form.files.values())))
    made = listed([f"{name} of job {maker + 1}" for maker, name in form.outputs.values()])
    subject = " with ".join(part for part in (files, made) if part)
    details = [f"{_label(path)} {words(path, value)}" for path, value in _in_order(form)]
    return f"{form.kind} {subject}".strip() + (
        f", {', '.join(details)}" if details else ""
    )


def _in_order(form: Form) -> Iterator[tuple[str, object]]:
    yield from sorted(form.values.items(), key=lambda row: row[0])


def _label(path: str) -> str:
    if path in _LABELS:
        return _LABELS[path]
    parts = [word for word in path.split(".") if word not in ("spec", "budget")]
    return " ".join(part for part in parts if part != "0").replace("_", " ")


def _parts(reading: Reading) -> str:
    left_out = [f"“{part.text[:40]}”" for part in reading.not_done]
    return f"; not done: {listed(left_out)}" if left_out else ""
