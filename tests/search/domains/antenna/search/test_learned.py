"""Guides, slopes and active learning of a surrogate."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.antenna.design import Design
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.samples import BandSamples
from tests.search.domains.antenna.jobs import PATCH, job
from tests.search.domains.antenna.search.doubles import Resembling


def learned() -> Learned:
    return Learned(Resembling(), BandSamples(job()), "double")


def far() -> Design:
    return Design(mask=~PATCH.mask, feed=PATCH.feed)


def test_guides_are_margins_of_the_prediction() -> None:
    model = learned()
    margins, guides = model.guides([PATCH, far()])
    assert margins[0] == pytest.approx(10.0)
    assert margins[0] > margins[1]
    assert guides[0] > guides[1]
    assert model.predicted == 2


def test_slopes_agree_with_differences() -> None:
    model, rng = learned(), np.random.default_rng(0)
    masks = rng.random((2, 6, 6))
    losses, slopes = model.slopes(masks, (2, 2))
    for k, i, j in [(0, 1, 2), (0, 5, 5), (1, 3, 0)]:
        moved = masks.copy()
        moved[k, i, j] += 1e-5
        above, _ = model.slopes(moved, (2, 2))
        assert slopes[k, i, j] == pytest.approx((above[k] - losses[k]) / 1e-5, rel=1e-3)


def test_a_copy_is_tuned_once_enough_designs_are_solved() -> None:
    model, rng = learned(), np.random.default_rng(0)
    before = model.model
    count = len(model.samples.frequencies_hz)
    for _ in range(3):
        model.add(PATCH, np.zeros(count, complex))
    assert not model.learn(rng, after=4, steps=1)
    model.add(far(), np.ones(count, complex))
    assert model.learn(rng, after=4, steps=1)
    assert (model.rounds, model.model is before) == (1, False)
    assert not model.learn(rng, after=4, steps=1)
