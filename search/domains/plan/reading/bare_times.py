"""Numbers without a unit that stand where a time does: "for 20", "give it thirty"."""

from __future__ import annotations

from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.scene import Scene


def is_time(scene: Scene, quantity: Quantity) -> bool:
    """Return whether a number without a unit stands where a time does: "for 20", "timeout=60"."""
    at = quantity.start - 1
    while at > 0 and scene.word(at) in ("=", ":", "of", "is", "at", "most", "to"):
        at -= 1
    if scene.word(at) == "than" and scene.word(at - 1) == "longer":
        return True
    given = scene.word(at) == "it" and scene.word(at - 1) in ("give", "gets", "allow")
    if scene.word(at) in ("for", "during") or given:
        return scene.word(quantity.end) in (",", ".", "", ";", "and", "\n", "max", ")")
    return any(
        phrase.start <= at < phrase.end
        and any(s.path == "budget.seconds" for s in phrase.of(Role.HEAD))
        for phrase in scene.items
    )
