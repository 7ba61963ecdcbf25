"""Controller arithmetic against exact enumeration: the posterior, the ramp, no control."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from search.condition import Condition
from search.control import (
    MAX_CONDITIONS,
    controlled,
    exact_log_chances,
    faults,
    law,
    leaf_conditions,
    likeliest,
    ramp,
)

TOKENS, LENGTH = 5, 6
Text = tuple[int, ...]


class Chain:
    """A Markov language model over 5 tokens and 6 places, enumerated, with a non-local attribute.

    A text has the attribute when 3 follows 2 somewhere and its last token is not 0.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.steps = rng.dirichlet(np.ones(TOKENS) * 0.7, TOKENS)
        self.start = rng.dirichlet(np.ones(TOKENS))
        self.chances = {text: self._chance(text) for text in self.texts()}
        self.mass: dict[Text, float] = {}
        self.good: dict[Text, float] = {}
        for text, chance in self.chances.items():
            for size in range(LENGTH + 1):
                cut = text[:size]
                self.mass[cut] = self.mass.get(cut, 0.0) + chance
                self.good[cut] = self.good.get(cut, 0.0) + chance * self.has(text)

    @staticmethod
    def texts() -> list[Text]:
        return list(itertools.product(range(TOKENS), repeat=LENGTH))

    @staticmethod
    def has(text: Text) -> bool:
        pairs = itertools.pairwise(text)
        return (2, 3) in pairs and text[-1] != 0

    def _chance(self, text: Text) -> float:
        steps = (self.steps[a, b] for a, b in itertools.pairwise(text))
        return float(self.start[text[0]] * math.prod(steps))

    def next(self, text: Text) -> NDArray[np.float64]:
        return self.steps[text[-1]] if text else self.start

    def judge(self, text: Sequence[int]) -> float:
        """log of the exact chance that a beginning becomes a text with the attribute."""
        good, mass = self.good[tuple(text)], self.mass[tuple(text)]
        return math.log(good / mass) if good > 0 else -math.inf

    def posterior(self) -> dict[Text, float]:
        total = sum(p for text, p in self.chances.items() if self.has(text))
        return {t: p * self.has(t) / total for t, p in self.chances.items()}

    def under_control(self, strength: float, top: int) -> dict[Text, float]:
        """The law of whole texts when each token is drawn under control."""
        laws: dict[Text, float] = {(): 1.0}
        for _ in range(LENGTH):
            longer: dict[Text, float] = {}
            for text, weight in laws.items():
                # Double precision, so that the comparison is of the method, not of rounding.
                logits: NDArray[np.float32] = np.log(self.next(text))  # type: ignore[assignment]
                judged = likeliest(logits, top)
                terms = exact_log_chances(text, judged.tolist(), [self.judge])
                ruled = controlled(logits, judged, terms, [strength])
                for token, chance in enumerate(law(ruled, 1.0)):
                    if chance > 0:
                        longer[(*text, token)] = weight * chance
            laws = longer
        return laws


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain()


def distance(chain: Chain, laws: dict[Text, float]) -> float:
    """Total variation to the posterior."""
    posterior = chain.posterior()
    return 0.5 * sum(abs(laws.get(t, 0.0) - p) for t, p in posterior.items())


def hits(chain: Chain, laws: dict[Text, float]) -> float:
    return sum(p for text, p in laws.items() if chain.has(text))


def test_strength_1_gives_the_posterior(chain: Chain) -> None:
    laws = chain.under_control(1.0, TOKENS)
    assert distance(chain, laws) < 1e-12
    assert hits(chain, laws) == pytest.approx(1.0, abs=1e-12)
    # Without control the attribute is rare, so the test above is not met by chance.
    assert hits(chain, chain.under_control(0.0, TOKENS)) == pytest.approx(0.054, abs=5e-4)


def test_higher_strength_narrows_the_law(chain: Chain) -> None:
    def entropy(laws: dict[Text, float]) -> float:
        return -sum(p * math.log(p) for p in laws.values() if p > 0)

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
