"""Ranker of a mined coreset: kept where features tell pipelines apart, and only there."""

from __future__ import annotations

import numpy as np

from workers.train.compile.own_ranker import try_ranker

MODULES, FEATURES = 40, 12


def world(seed: int, *, told: bool) -> tuple[np.ndarray, np.ndarray]:
    """Features, and shares saved by three pipelines; `told`: the first feature decides."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((MODULES, FEATURES))
    kind = x[:, 0] if told else rng.standard_normal(MODULES)
    saved = np.stack([np.full(MODULES, 0.04), 0.04 + 0.02 * np.sign(kind)], axis=1)
    return x, np.c_[saved, np.full(MODULES, 0.01)]


def test_a_ranker_that_tells_pipelines_apart_is_kept() -> None:
    x, saved = world(0, told=True)
    trial = try_ranker(x, saved)
    assert trial.ranker is not None
    assert trial.gain > 0.005
    fresh, truth = world(1, told=True)
    picked = [trial.ranker.scores(row).argmax() for row in fresh]
    assert truth[range(MODULES), picked].mean() > truth[:, 0].mean() + 0.005
    assert "kept" in trial.sentence


def test_noise_is_no_ranker() -> None:
    kept = [try_ranker(*world(seed, told=False)).ranker is not None for seed in range(10)]
    assert sum(kept) <= 1


def test_few_modules_make_no_ranker() -> None:
    x, saved = world(0, told=True)
    assert try_ranker(x[:5], saved[:5]).ranker is None
    assert try_ranker(x, saved[:, :1]).ranker is None
