"""Drafts of the jobs of a goal."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.drafting.draft import Draft, Drafts
from search.domains.plan.reading.drafting.options import options_of
from search.domains.plan.reading.drafting.variants import combined
from search.domains.plan.reading.jobs.leaf import Leaf
from search.domains.plan.reading.scene import Scene


def drafts_of(
    scene: Scene, leaves: Sequence[Leaf], attached: Sequence[Sequence[Bound]]
) -> Drafts:
    """Return the jobs; a slot with several values gives several jobs."""
    result = Drafts()
    for number, (leaf, bounds) in enumerate(zip(leaves, attached, strict=True)):
        options, removed = options_of(scene, leaf, bounds, result)
        for chosen in combined(scene, leaf, options, bounds, result):
            result.jobs.append(
                Draft(
                    leaf=number,
                    kind=leaf.kind,
                    files=dict(leaf.files),
                    settings=chosen,
                    removed=dict(removed),
                    mentions=list(leaf.mentions),
                    group=number,
                    base=leaf.base,
                    takes=leaf.takes,
                )
            )
    return result
