"""Order of two jobs, and the places at which jobs are spoken of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.domains.plan.reading.drafting.draft import Draft
from search.domains.plan.reading.lexicon import Phrase
from search.domains.plan.reading.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Job `child` waits for job `parent`."""

    parent: int
    child: int
    needs_success: bool
    why: str
    tokens: tuple[int, ...]


def place_of(job: Draft) -> int:
    """Return the token at which a job is first spoken of; variants by their own values."""
    return min(job.mentions, default=0)


def own_place_of(job: Draft, jobs: Sequence[Draft]) -> int:
    """Return where the job's distinguishing value stands, among variants of one file."""
    variants = [other for other in jobs if other.leaf == job.leaf]
    if len(variants) == 1:
        return place_of(job)
    own = [
        setting.tokens[0]
        for path, setting in job.settings.items()
        if any(
            other.settings.get(path) is None
            or other.settings[path].tokens != setting.tokens
            for other in variants
        )
    ]
    return min(own, default=place_of(job))


def ordered(scene: Scene, phrase: Phrase, parent: int, child: int) -> Edge:
    """Return the order of two jobs that the words of a phrase ask for."""
    return Edge(
        parent=parent,
        child=child,
        needs_success=False,
        why=scene.words(phrase.start, phrase.end),
        tokens=tuple(range(phrase.start, phrase.end)),
    )
