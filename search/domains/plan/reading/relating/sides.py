"""The two jobs of a relation: one gets a value that the other has."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.jobs.leaf import Leaf
from search.domains.plan.reading.lexicon import Phrase
from search.domains.plan.reading.scene import Scene

_AS = frozenset(("as", "of", "than", "like", "for", "that", "what"))
_ONTO = frozenset(("with", "for", "to", "on"))


def sides_of(
    scene: Scene, leaves: Sequence[Leaf], phrase: Phrase
) -> tuple[int, int] | None:
    """Return (job that gets the value, job that has it)."""
    sentence_end = phrase.end
    while sentence_end < len(scene.tokens) and not scene.ends_sentence(sentence_end):
        sentence_end += 1
    limit = min(sentence_end, phrase.end + 6)
    other = None
    if scene.word(phrase.end) in _AS or scene.word(phrase.end - 1) in (
        "as",
        "like",
        "than",
        "what",
    ):
        other = _first(leaves, phrase.end, limit)
    start = scene.sentence_start(phrase.start)
    if scene.word(phrase.end) in _ONTO:
        # "do the same with b.c": what comes behind gets what came before.
        subject = _first(leaves, phrase.end, min(sentence_end, phrase.end + 5))
        example = nearest_before(scene, leaves, 0, phrase.start)
        if subject is not None and example is not None and subject != example:
            return subject, example
    subject = nearest_before(scene, leaves, start, phrase.start)
    if subject is None:
        subject = _first(leaves, phrase.end, sentence_end) if other is None else None
    if subject is not None and other is None:
        other = _referred(scene, leaves, start, phrase.start, subject)
    if subject is not None and other is None:
        previous = [
            (m, i)
            for i, leaf in enumerate(leaves)
            if i != subject
            for m in leaf.mentions
            if m < phrase.start
        ]
        other = max(previous)[1] if previous else None
    if subject is None or other is None or subject == other:
        return None
    return subject, other


def nearest_before(
    scene: Scene, leaves: Sequence[Leaf], low: int, high: int
) -> int | None:
    """Return the job mentioned last in tokens [low, high), not counting "as A", "like a.mps"."""
    best = max(
        (
            (m, i)
            for i, leaf in enumerate(leaves)
            for m in leaf.mentions
            if low <= m < high
            and scene.word(m - 1) not in ("as", "like", "than", "of", "is")
        ),
        default=None,
    )
    return None if best is None else best[1]


def _referred(
    scene: Scene, leaves: Sequence[Leaf], low: int, high: int, subject: int
) -> int | None:
    """Return the job that the sentence names as a model: "as A, but thicker"."""
    return next(
        (
            i
            for i, leaf in enumerate(leaves)
            for m in leaf.mentions
            if low <= m < high
            and scene.word(m - 1) in ("as", "like", "is")
            and i != subject
        ),
        None,
    )


def _first(leaves: Sequence[Leaf], low: int, high: int) -> int | None:
    best = min(
        (
            (m, i)
            for i, leaf in enumerate(leaves)
            for m in leaf.mentions
            if low <= m < high
        ),
        default=None,
    )
    return None if best is None else best[1]
