"""Figures of a finished plan: leaves by state, repairs, and who proposed each leaf."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from search.domains.plan.outline.repair import newest, root_of
from search.rest import EndedJob
from trimtab.plans import Outline


def summary_of(outline: Outline, jobs: Mapping[str, EndedJob]) -> dict[str, Any]:
    """Return the summary of a plan's result."""
    last = newest(outline)
    states = Counter(
        jobs[name].state.value if name in jobs else "DROPPED" for name in last.values()
    )
    first = {
        name: leaf.origin
        for name, leaf in outline.leaves.items()
        if leaf.origin.source != "repair"
    }
    return {
        "leaves": dict(sorted(states.items())),
        "repairs": {
            name: leaf.title
            for name, leaf in outline.leaves.items()
            if root_of(name)[1] > 0
        },
        "proposed_by": {
            name: f"{origin.source} {origin.id}".strip() for name, origin in first.items()
        },
        "won": dict(sorted(Counter(origin.source for origin in first.values()).items())),
        "not_done": len(outline.not_done),
        "text_model": outline.text_model,
    }
