"""Completion of a reading: questions, parts that are not done, words not understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from search.domains.plan.reading.accounting.files import unattached, unusable
from search.domains.plan.reading.accounting.needs import (
    bands_without_edges,
    missing_slots,
    program_runs_and_targets,
    smallest_and_fastest,
    unknown_devices,
    unnamed_processors,
    vague_improvements,
)
from search.domains.plan.reading.accounting.numbers import (
    unexplained_numbers,
    unmatched_repetitions,
)
from search.domains.plan.reading.accounting.words import (
    ambiguous_words,
    earlier_jobs,
    left_over,
    unexplained_choices,
)
from search.domains.plan.reading.drafting.draft import Drafts
from search.domains.plan.reading.jobs.leaf import Doubt, Found
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.tokens import Form
from search.domains.plan.types import Reading
from trimtab.plans import NotDone, Question

MAX_QUESTIONS = 3
# Kinds that plans may have and only the learned reader reads.
_READ_BY_MODEL = ("learn",)


def complete(
    scene: Scene,
    reading: Reading,
    found: Found,
    drafts: Drafts,
    doubts: Sequence[Doubt],
    answers: Mapping[str, str],
) -> Reading:
    """Return the reading with questions, parts not done and words not understood."""
    doubts = list(doubts)
    not_done = list(reading.not_done)
    unattached(scene, reading, doubts, not_done)
    unusable(scene, found, not_done)
    doubts += earlier_jobs(scene)
    for tokens, why in scene.beyond:
        spans = scene.spans(tokens)
        excerpt = scene.text.goal[spans[0].start : spans[-1].end]
        not_done.append(NotDone(text=excerpt[:200], reason=why, spans=spans))
    if not reading.wishes:
        return _nothing(scene, reading, doubts, not_done, answers)
    doubts += missing_slots(drafts)
    doubts += unexplained_numbers(scene, reading)
    doubts += unmatched_repetitions(scene, reading)
    doubts += unexplained_choices(scene)
    doubts += ambiguous_words(scene, drafts)
    doubts += unknown_devices(scene, drafts)
    doubts += program_runs_and_targets(drafts)
    doubts += smallest_and_fastest(scene, drafts)
    doubts += vague_improvements(scene, drafts)
    doubts += unnamed_processors(scene, drafts)
    doubts += bands_without_edges(scene, drafts)
    open_doubts = [d for d in doubts if d.about not in answers]
    open_doubts.sort(key=lambda d: d.rank)
    unique = list({d.about: d for d in reversed(open_doubts)}.values())[::-1]
    return replace(
        reading,
        not_done=tuple(not_done),
        questions=tuple(_question(scene, d) for d in unique[:MAX_QUESTIONS]),
        not_understood=scene.spans(left_over(scene)),
        notes=tuple(dict.fromkeys((*reading.notes, *scene.notes))),
    )


def _nothing(
    scene: Scene,
    reading: Reading,
    doubts: Sequence[Doubt],
    not_done: list[NotDone],
    answers: Mapping[str, str],
) -> Reading:
    """Finish a reading without jobs: everything is impossible, or the goal is unclear."""
    if not not_done and not doubts:
        cues = [i for i in scene.items if i.of(Role.VERB, Role.NOUN, Role.FILE_NOUN)]
        unknown = any(
            token.form is Form.WORD and not scene.lexicon.knows(token.word)
            for token in scene.tokens
        )
        if unknown and not cues and not scene.files:
            not_done.append(
                NotDone(
                    text=scene.text.goal[:200],
                    reason="no kind of job here does this; the kinds are "
                    + ", ".join(sorted({*scene.lexicon.kinds, *_READ_BY_MODEL})),
                    spans=(scene.text.span(0, len(scene.text.folded)),),
                )
            )
        else:
            doubts = [_what(scene, cues)]
    open_doubts = [d for d in doubts if d.about not in answers]
    return replace(
        reading,
        not_done=tuple(not_done),
        questions=tuple(_question(scene, d) for d in open_doubts[:MAX_QUESTIONS]),
        not_understood=scene.spans(left_over(scene)),
    )


def _what(scene: Scene, cues: Sequence[Phrase]) -> Doubt:
    """Ask what is wanted, or which file is meant."""
    names = tuple(scene.files)[:5]
    asks = bool(cues) or len(names) > 1
    return Doubt(
        about="file" if asks else "goal",
        text=("Which file is this about?" if asks else "What is to be done?")
        + ("" if names else " No file is attached."),
        options=names
        if asks
        else tuple(f"{verb} {name}" for name in names for verb in ("work on",))[:5],
        tokens=tuple(i for phrase in cues[:1] for i in range(phrase.start, phrase.end)),
        rank=0,
    )


def _question(scene: Scene, doubt: Doubt) -> Question:
    return Question(
        text=doubt.text,
        about=doubt.about,
        options=doubt.options[:5],
        spans=scene.spans(t for t in doubt.tokens if t < len(scene.tokens)),
    )
