"""Numbers of a quantity: products are one number, ranges are a question."""

from __future__ import annotations

from typing import Any

from search.domains.plan.reading.binding.bound import COUNT, Bound
from search.domains.plan.reading.drafting.draft import MAX_VARIANTS, Drafts
from search.domains.plan.reading.drafting.questions import goal_words
from search.domains.plan.reading.jobs.leaf import Doubt
from search.domains.plan.reading.quantities.quantity import Shape
from search.domains.plan.reading.scene import Scene


def numbers_of(
    scene: Scene, bound: Bound, path: str, values: tuple[Any, ...], result: Drafts
) -> tuple[Any, ...]:
    """Return the values of a quantity: a product of counts is one number, a range is a doubt."""
    if bound.shape is Shape.PRODUCT:
        if path == COUNT:
            return (values[0] * values[1],)
        if values[0] == values[1] and not path.endswith("_mm"):
            return (values[0],)
        if path.endswith("_mm"):
            if values[0] != values[1]:
                result.doubts.append(
                    Doubt(
                        about=path.removeprefix("spec."),
                        text="The board is square here. Which side should it have, in mm?",
                        options=tuple(f"{v:g}" for v in sorted(values)),
                        tokens=bound.tokens,
                        rank=2,
                    )
                )
            return (min(values),)
    if (
        bound.shape is Shape.RANGE
        and path == "seed"
        and values[1] - values[0] < MAX_VARIANTS
    ):
        return tuple(range(int(values[0]), int(values[1]) + 1))
    if bound.shape is Shape.RANGE and path == COUNT and scene.marks("what_if"):
        return values  # "going from eight to a dozen"
    if bound.shape in (Shape.RANGE, Shape.AROUND) and not path.endswith("_hz"):
        low, high = (
            (values[0], values[1])
            if bound.shape is Shape.RANGE
            else (values[0], values[0])
        )
        if low != high:
            result.doubts.append(
                Doubt(
                    about=path.removeprefix("spec."),
                    text=f"“{goal_words(scene, bound)}” is a range. Which value is wanted?",
                    options=(f"{high:g}", f"{low:g}"),
                    tokens=bound.tokens,
                    rank=2,
                )
            )
        return (high,)
    return values
