"""Closed forms, the reduced equation and training against each other and against differences."""

from __future__ import annotations

import numpy as np
import pytest

from gnn.dynamics.closed_form import Rates, common_token, force, margin, profile, work
from gnn.dynamics.sequences import (
    SequenceClasses,
    attention,
    distinct_entropy,
    linear_classes,
)
from gnn.dynamics.training import (
    SgdParams,
    Weights,
    correlation,
    gradient,
    population,
    reduced,
    sampled,
)

RATES = Rates(decoder=1.0, attention=0.1, classes=10, outputs=1000)


def likelihood(weights: Weights, words: list[list[int]], next_: list[int]) -> float:
    """The model word for word, from sequences of token numbers, with query 0."""
    total = 0.0
    for context, n in zip(words, next_, strict=True):
        b = np.exp([weights.attention[0, x] for x in context])
        b = b / b.sum()
        f = np.zeros(len(weights.decoder))
        for x, share in zip(context, b, strict=True):
            f[x] += share
        f /= np.linalg.norm(f)
        logits = weights.decoder.T @ f
        total += logits[n] - np.log(np.exp(logits).sum())
    return total / len(words)


def test_the_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    weights = Weights(decoder=rng.normal(size=(5, 4)), attention=rng.normal(size=(1, 5)))
    words = [[0, 0, 1, 2], [3, 4, 4, 4], [1, 1, 2, 0]]
    next_ = [0, 3, 2]
    counts = np.array([np.bincount(w, minlength=5) for w in words], float)
    got = gradient(weights, counts, np.zeros(3, int), np.array(next_))
    assert got.likelihood == pytest.approx(likelihood(weights, words, next_), abs=1e-12)
    for name in ("decoder", "attention"):
        array = getattr(weights, name)
        for place in np.ndindex(array.shape):
            kept, step = array[place], 1e-5
            array[place] = kept + step
            high = likelihood(weights, words, next_)
            array[place] = kept - step
            low = likelihood(weights, words, next_)
            array[place] = kept
            assert getattr(got, name)[place] == pytest.approx(
                (high - low) / (2 * step), abs=1e-6
            )


def test_the_margin_solves_its_equation_and_its_differential_equation() -> None:
    t = np.array([0.0, 1e-3, 1.0, 30.0, 138.0, 1e4, 1e9])
    for outputs in (2, 30, 1000, 50_000):
        rates = Rates(decoder=0.7, attention=1.0, classes=2, outputs=outputs)
        u = margin(rates, t)
        left = np.exp(u) + (outputs - 1) * u
        np.testing.assert_allclose(left, outputs * 0.7 * t / 2 + 1, rtol=1e-12)
    h = lambda s: margin(RATES, np.array(s)) / RATES.outputs  # noqa: E731
    for s in (10.0, 140.0, 3000.0):  # dh/d(t/K) = η_Y / (M − 1 + e^(M h))
        slope = (h(s + 1e-3) - h(s - 1e-3)) / 2e-3 * RATES.classes
        assert slope == pytest.approx(1 / (999 + np.exp(1000 * h(s))), rel=1e-5)


def test_work_is_the_integral_of_the_force() -> None:
    t = np.linspace(0, 500, 20_001)
    f = force(RATES, t)
    integral = 0.1 * ((f[1:] + f[:-1]) / 2 * np.diff(t)).sum()
    assert work(RATES, np.array(500.0)) == pytest.approx(integral, rel=1e-6)


def test_the_margin_of_training_is_within_one_percent_at_a_thousand_outputs() -> None:
    classes = linear_classes(2, distinct=10, common=1)
    rates = Rates(decoder=1.0, attention=0.1, classes=2, outputs=1000)
    steps = int(4 * rates.snap)
    moments = list(population(classes, rates, steps, decorrelate=True, every=steps // 2))
    for moment in moments[1:]:
        law = float(margin(rates, np.array(float(moment.t))))
        assert moment.margin == pytest.approx(law, rel=0.01)
    assert all(m.growing and m.falling for m in moments)


def test_training_follows_the_reduced_equation() -> None:
    classes = linear_classes(4, distinct=5, common=1)
    rates = Rates(decoder=1.0, attention=0.05, classes=4, outputs=400)
    steps = int(2 * rates.snap)
    trained = list(population(classes, rates, steps, decorrelate=True, every=steps))[-1]
    theory = list(reduced(classes, rates, steps, every=steps))[-1]
    assert theory.growing
    assert theory.falling
    assert trained.z[0, 0] == pytest.approx(theory.z[0, 0], rel=0.1)
    np.testing.assert_allclose(trained.z[0, 1:], theory.z[0, 1:], rtol=0.35)
    plain = list(population(classes, rates, steps, decorrelate=False, every=steps))[-1]
    # Without the correction of lemma 3 the attention moves much less.
    assert abs(plain.z[0, 0]) < 0.5 * abs(trained.z[0, 0])


def test_the_closed_form_of_a_common_token_is_that_of_the_reduced_equation() -> None:
    # A rare common token, so that classes are weakly correlated.
    context = np.zeros((4, 1 + 4 * 3))
    for n in range(4):
        context[n, 1 + 3 * n : 4 + 3 * n] = (0.2, 0.3, 0.4)
    context[:, 0] = 0.1
    classes = SequenceClasses(context=context, query=np.zeros(4, int))
    rates = Rates(decoder=1.0, attention=20.0, classes=4, outputs=500)
    end = list(reduced(classes, rates, 400, every=400))[-1]
    ratio = (0.2**2 + 0.3**2 + 0.4**2) / 0.1**2
    closed = common_token(rates, np.array(400.0), ratio)
    assert end.z[0, 0] < -0.1
    assert closed == pytest.approx(end.z[0, 0], rel=0.1)


def test_growth_at_the_snap_depends_on_the_ratio_of_the_rates_only() -> None:
    def grown(decoder: float, ratio: float) -> float:
        rates = Rates(
            decoder=decoder, attention=decoder / ratio, classes=10, outputs=1000
        )
        return -float(common_token(rates, np.array(rates.snap), 4.0))

    assert grown(1.0, 10.0) == pytest.approx(grown(7.0, 10.0))
    assert grown(1.0, 2.0) > grown(1.0, 10.0)


def test_attention_all_but_stops_after_the_snap() -> None:
    t = RATES.snap * np.array([0.25, 0.5, 2.0, 64.0])
    z = -common_token(RATES, t, 4.0)
    chi = np.exp(2 * z)
    exponent = np.diff(np.log(chi - 1)) / np.diff(np.log(t))
    assert exponent[0] > 0.5  # before: a power of time
    assert exponent[-1] < 0.15  # 5 doublings after: logarithmic


def test_the_profile_law_holds_in_the_reduced_equation() -> None:
    classes = linear_classes(3, distinct=6, common=2)
    # Slow enough that Euler steps follow the continuous equation.
    rates = Rates(decoder=0.1, attention=2.0, classes=3, outputs=200)
    end = list(reduced(classes, rates, 6000, every=6000))[-1]
    z = end.z[0, 2:8]
    law = profile(classes.context[0, 2:8], float(np.exp(2 * z[-1])))
    assert z[-1] > 0.3
    np.testing.assert_allclose(law, z, rtol=0.02)


def test_attention_and_entropy_of_the_synthetic_classes() -> None:
    classes = linear_classes(4, distinct=10, common=3, queries=2)
    assert classes.query.tolist() == [0, 0, 1, 1]
    assert classes.common.sum() == 3
    assert classes.distinct.sum() == 40
    z = np.zeros((2, classes.tokens))
    np.testing.assert_allclose(attention(classes, z), classes.context)
    share = np.linspace(0.1, 1, 10) / 5.5
    assert distinct_entropy(classes, z) == pytest.approx(-(share * np.log(share)).sum())
    z[0, :3] = -2.0
    assert attention(classes, z)[0, :3].sum() < attention(classes, z)[2, :3].sum()


def test_training_on_samples_repeats_and_leaves_other_queries_alone() -> None:
    classes = linear_classes(4, distinct=5, common=2, queries=2)
    rates = Rates(decoder=1.0, attention=1.0, classes=4, outputs=30)

    def run(seed: int) -> Weights:
        rng = np.random.default_rng(seed)
        start = Weights.zero(classes, 30)
        return sampled(classes, rates, SgdParams(steps=30), start, rng)

    first, again, other = run(0), run(0), run(1)
    np.testing.assert_array_equal(first.attention, again.attention)
    assert not np.array_equal(first.attention, other.attention)
    absent = classes.context[2:].sum(axis=0) == 0
    assert not first.attention[1, absent].any()
    # Sums over rows stay zero only without normalisation; common tokens fall on average.
    assert first.attention[:, :2].mean() < first.attention[:, 2:].mean()


def test_uncorrelated_classes_exert_no_force() -> None:
    f = np.eye(3)
    assert not correlation(f).any()


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="divisor of the 4 classes, got 3"):
        linear_classes(4, distinct=2, common=1, queries=3)
    with pytest.raises(ValueError, match="decoder: expected a positive rate"):
        Rates(decoder=0, attention=1, classes=2, outputs=3)
    with pytest.raises(ValueError, match="at most as many as outputs"):
        Rates(decoder=1, attention=1, classes=5, outputs=3)
    with pytest.raises(ValueError, match="sum to 1"):
        SequenceClasses(context=np.ones((2, 2)), query=np.zeros(2, int))
    with pytest.raises(ValueError, match="growth"):
        profile(np.ones(2), 0.5)
