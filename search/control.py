"""Arithmetic of the controller: a text is held to conditions by adding terms to its logits.

FUDGE (Yang and Klein 2021, arXiv 2104.05218) multiplies the chance of each next token by the chance
that the text will have an attribute; DOC (Yang et al. 2023, arXiv 2212.10077, section 3.3) takes
events of an outline as attributes, with strengths that grow within a leaf:

    l'_v = l_v + sum_c strength_c log D(c | x, v),   p(v) = softmax(l'_v / temperature)

over the `TOP_K` likeliest tokens v. The division comes after the addition, so the exponent of D is
strength / temperature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from search.condition import Condition

TOP_K = 100
"""Tokens that are judged at each step (DOC, appendix on the controller)."""
REACH = 4.0
"""Nats below the likeliest token, beyond which none is judged and none is taken."""
STEEPNESS, MOST = 3.0, 10.0
SETTING_SHARE, ENTRANCE_SHARE = 0.5, 0.2
"""Of the event's strength: for a new setting, and for each character that enters."""
MAX_CONDITIONS = 8
MAX_STRENGTH = 100.0


def ramp(substep: int) -> float:
    """Return the strength within a leaf, from its first substep, 0: 0, 3, 6, 9, 10, 10, …."""
    return min(STEEPNESS * substep, MOST)


def leaf_conditions(
    event: str, substep: int, *, setting: str = "", entering: Sequence[str] = ()
) -> tuple[Condition, ...]:
    """Return the conditions of one substep of a leaf. A leaf begins at substep 0 again.

    Args:
        event: the leaf's own text.
        substep: pieces of the leaf that have been written.
        setting: where the scene moves to; "" where it stays.
        entering: characters that the leaf brings in.
    """
    strength = ramp(substep)
    moves = [f"The characters move to {setting}"] if setting else []
    return (
        Condition(text=event, strength=strength),
        *(Condition(text=text, strength=SETTING_SHARE * strength) for text in moves),
        *(
            Condition(text=f"{who} enters the scene.", strength=ENTRANCE_SHARE * strength)
            for who in entering
        ),
    )


def faults(conditions: Sequence[Condition]) -> str | None:
    """Return what is wrong with conditions; None when nothing is."""
    if len(conditions) > MAX_CONDITIONS:
        return (
            f"control: expected at most {MAX_CONDITIONS} conditions, got {len(conditions)}; "
            "leave some out"
        )
    for number, condition in enumerate(conditions):
        if not condition.text.strip():
            return (
                f"control[{number}].text: expected a text, got an empty one; leave it out"
            )
        strength = condition.strength
        if not (math.isfinite(strength) and 0 <= strength <= MAX_STRENGTH):
            return (
                f"control[{number}].strength: expected a number from 0 to {MAX_STRENGTH:g}, got "
                f"{strength}"
            )
    return None


def likeliest(
    logits: NDArray[np.float32], count: int = TOP_K, *, reach: float = math.inf
) -> NDArray[np.int64]:
    """Return the places of the greatest finite logits, at most `count`, in ascending order.

    reach: nats below the greatest one, beyond which none is taken.
    """
    top = float(logits.max(initial=-math.inf))
    if top == -math.inf:
        return np.empty(0, np.int64)
    least = max(top - reach, float(np.finfo(np.float32).min))
    some = np.flatnonzero(logits >= least)
    if len(some) > count:
        some = np.sort(some[np.argpartition(-logits[some], count - 1)[:count]])
    return some.astype(np.int64)


def controlled(
    logits: NDArray[np.float32],
    judged: NDArray[np.int64],
    log_chances: NDArray[np.floating],
    strengths: Sequence[float],
) -> NDArray[np.float32]:
    """Return [m] logits with the conditions' terms; -inf for tokens that were not judged.

    Args:
        logits: [m], after a grammar's mask.
        judged: [k] places in `logits`.
        log_chances: [conditions, k] log D, at most 0; -inf is a chance of 0.
        strengths: [conditions]; a condition of strength 0 adds nothing even to a chance of 0.

    Where every judged token has chance 0 the terms are left out: no token would be left.
    """
    total = logits[judged].astype(np.float64)
    for row, strength in zip(log_chances, strengths, strict=True):
        if strength:
            total += strength * row
    if not np.isfinite(total).any():
        total = logits[judged].astype(np.float64)
    out = np.full_like(logits, -np.inf)
    out[judged] = total
    return out


def law(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Return the distribution that a sampler draws from: softmax(logits / temperature)."""
    wide = logits.astype(np.float64) / temperature
    weight = np.exp(wide - wide.max())
    chances: NDArray[np.float64] = weight / weight.sum()
    return chances


Judge = Callable[[Sequence[int]], float]
"""log D of a text in tokens, its last token included."""


def exact_log_chances(
    text: Sequence[int], tokens: Sequence[int], judges: Sequence[Judge]
) -> NDArray[np.float64]:
    """Return [conditions, k] log D by judging every continuation: the reference of a head."""
    return np.array([[judge([*text, token]) for token in tokens] for judge in judges])
