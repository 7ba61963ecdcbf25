"""Controller arithmetic against exact enumeration: the posterior, the ramp, no control."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.condition import Condition
from search.control import (
    MAX_CONDITIONS,
    controlled,
    faults,
    law,
    leaf_conditions,
    likeliest,
    ramp,
)
from workers.bench.plan.posterior import TOKENS, Chain, distance, entropy, hits


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain()


def test_strength_1_gives_the_posterior(chain: Chain) -> None:
    laws = chain.under_control(1.0, TOKENS)
    assert distance(chain, laws) < 1e-12
    assert hits(chain, laws) == pytest.approx(1.0, abs=1e-12)
    # Without control the attribute is rare, so the test above is not met by chance.
    assert hits(chain, chain.under_control(0.0, TOKENS)) == pytest.approx(0.054, abs=5e-4)


def test_higher_strength_narrows_the_law(chain: Chain) -> None:
    doubled, strong = chain.under_control(2.0, TOKENS), chain.under_control(10.0, TOKENS)
    assert distance(chain, doubled) == pytest.approx(0.34, abs=0.005)
    assert distance(chain, strong) == pytest.approx(0.83, abs=0.005)
    assert entropy(chain.under_control(1.0, TOKENS)) == pytest.approx(6.40, abs=0.005)
    assert entropy(strong) == pytest.approx(4.87, abs=0.005)


def test_truncation_breaks_exactness(chain: Chain) -> None:
    assert hits(chain, chain.under_control(1.0, 3)) == pytest.approx(0.916, abs=5e-4)
    assert hits(chain, chain.under_control(2.0, 3)) == pytest.approx(0.994, abs=5e-4)


def test_the_ramp_of_a_leaf() -> None:
    assert [ramp(step) for step in range(8)] == [0, 3, 6, 9, 10, 10, 10, 10]
    first, moves, enters = leaf_conditions(
        "Ann finds the letter.", 2, setting="the attic", entering=["Ben"]
    )
    assert first == Condition(text="Ann finds the letter.", strength=6.0)
    assert moves.text == "The characters move to the attic"
    assert moves.strength == 3.0
    assert enters.text == "Ben enters the scene."
    assert enters.strength == pytest.approx(1.2)
    # The next leaf begins without control.
    assert {c.strength for c in leaf_conditions("x", 0, setting="s", entering="ab")} == {
        0.0
    }


finite = st.floats(-30, 30, width=32)


@given(st.lists(finite, min_size=1, max_size=40), st.integers(1, 50))
def test_the_likeliest_are_no_less_likely_than_others(
    values: list[float], count: int
) -> None:
    logits = np.array(values, np.float32)
    logits[::3] = -np.inf
    chosen = likeliest(logits, count)
    assert len(chosen) == min(count, int(np.isfinite(logits).sum()))
    assert sorted(set(chosen.tolist())) == chosen.tolist()
    others = np.delete(logits, chosen)
    if len(chosen) and len(others):
        assert logits[chosen].min() >= others.max()


@given(
    st.lists(finite, min_size=2, max_size=20),
    st.floats(0, 12),
    st.integers(0, 2**32 - 1),
)
def test_terms_move_the_odds_by_strength_over_temperature(
    values: list[float], strength: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = np.array(values, np.float32)
    judged = np.arange(len(logits))
    terms = np.log(rng.uniform(0.01, 1, (2, len(logits))))
    ruled = controlled(logits, judged, terms, [strength, 0.5 * strength])
    before, after = law(logits, 0.8), law(ruled, 0.8)
    odds = np.log(after[0] / after[1]) - np.log(before[0] / before[1])
    gain = terms[0, 0] - terms[0, 1] + 0.5 * (terms[1, 0] - terms[1, 1])
    assert odds == pytest.approx(strength / 0.8 * gain, abs=2e-3)


def test_a_chance_of_zero() -> None:
    logits = np.array([1.0, 2.0, 3.0], np.float32)
    judged = np.array([0, 2])
    never = np.array([[-np.inf, 0.0]])
    assert controlled(logits, judged, never, [1.0]).tolist() == [-np.inf, -np.inf, 3.0]
    assert controlled(logits, judged, never, [0.0]).tolist() == [1.0, -np.inf, 3.0]
    # No token would be left: the terms are left out.
    nothing = np.full((1, 2), -np.inf)
    assert controlled(logits, judged, nothing, [1.0]).tolist() == [1.0, -np.inf, 3.0]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Condition(text=" ", strength=1), "text"),
        (Condition(text="x", strength=-1), "strength"),
        (Condition(text="x", strength=math.nan), "strength"),
        (Condition(text="x", strength=1e9), "strength"),
    ],
)
def test_faults_are_named(condition: Condition, words: str) -> None:
    sound = Condition(text="x", strength=3)
    assert faults([sound]) is None
    assert words in (faults([sound, condition]) or "")
    assert "control[1]" in (faults([sound, condition]) or "")
    assert "at most" in (faults([sound] * (MAX_CONDITIONS + 1)) or "")
