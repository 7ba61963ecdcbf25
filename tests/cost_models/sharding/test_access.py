"""Reuse of rows: laws, histograms and samples against drawn indices and published totals."""

from __future__ import annotations

import numpy as np
import pytest

from cost_models.sharding.access import EDGES, reuse_of, zipf_reuse
from cost_models.sharding.generator import (
    fbgemm_production,
    meta_like,
    mlperf_dlrm,
    nvidia_synthetic,
)
from cost_models.sharding.problem import TableArrays
from trimtab.specs.sharding import Optimizer, ReuseAccess, SampleAccess, Table, ZipfAccess


def test_zipf_bins_are_those_of_drawn_indices() -> None:
    rng = np.random.default_rng(0)
    rows, lookups, alpha = 5_000, 60_000, 0.9
    p = np.arange(1, rows + 1) ** -alpha
    times = np.bincount(rng.choice(rows, lookups, p=p / p.sum()), minlength=rows)
    times = times[times > 0]
    drawn = np.histogram(times, bins=[0.5, *(EDGES + 0.5), np.inf])[0]
    reuse = zipf_reuse(
        np.array([alpha]), np.array([float(rows)]), np.array([float(lookups)])
    )
    assert reuse.unique_rows[0] == pytest.approx(len(times), rel=0.02)
    assert reuse.lookups[0] == pytest.approx(lookups)
    assert np.abs(reuse.unique[0] - drawn).sum() / drawn.sum() < 0.06


def test_pool_has_metas_published_totals() -> None:
    """facebookresearch/dlrm_datasets 2021: 887,017,990 look-ups of 128,435,723 rows.

    A share of 0.473 of the rows is looked up once.
    """
    arrays = TableArrays.of(
        meta_like(856, np.random.default_rng(856)), batch=65_536, optimizer=Optimizer.SGD
    )
    assert arrays.lookups.sum() == pytest.approx(887_017_990, rel=0.12)
    assert arrays.unique_rows.sum() == pytest.approx(128_435_723, rel=0.12)
    assert arrays.unique[:, 0].sum() / arrays.unique.sum() == pytest.approx(
        0.473, abs=0.05
    )


def test_law_histogram_and_sample_of_one_access_agree() -> None:
    law = Table(
        name="a",
        rows=20_000,
        dim=8,
        pooling=5,
        access=ZipfAccess(alpha=0.8, active_rows=20_000),
    )
    batch = 8_192
    by_law = reuse_of([law], batch)
    bins = ReuseAccess(bins=tuple(by_law.fractions()[0]))
    by_bins = reuse_of([law.model_copy(update={"access": bins})], batch)
    rng = np.random.default_rng(1)
    p = np.arange(1, 20_001) ** -0.8
    drawn = rng.choice(20_000, batch * 5, p=p / p.sum())
    by_sample = reuse_of(
        [law.model_copy(update={"access": SampleAccess(indices=tuple(map(int, drawn)))})],
        batch,
    )
    assert by_bins.unique_rows[0] == pytest.approx(by_law.unique_rows[0], rel=0.1)
    # Counts of the sample are used as rates, so a row seen once counts once: slightly fewer rows.
    assert by_sample.unique_rows[0] == pytest.approx(by_law.unique_rows[0], rel=0.3)
    for reuse in (by_law, by_bins, by_sample):
        assert reuse.lookups[0] == pytest.approx(batch * 5)


def test_never_more_accessed_rows_than_rows() -> None:
    tiny = Table(
        name="a", rows=3, dim=4, pooling=20, access=ReuseAccess(bins=(1.0, *([0.0] * 16)))
    )
    assert reuse_of([tiny], 1_024).unique_rows[0] <= 3 * (1 + 1e-9)


def test_public_lists_have_their_published_sizes() -> None:
    assert len(fbgemm_production()) == 116
    assert len(mlperf_dlrm()) == 26
    sizes = {
        "tiny": (55, 4.2),
        "small": (107, 26.3),
        "medium": (311, 206.2),
        "colossal": (2002, 22_327),
    }
    for model, (count, gib) in sizes.items():
        tables = nvidia_synthetic(model)
        assert len(tables) == count
        assert sum(t.rows * t.dim * 4 for t in tables) / 2**30 == pytest.approx(
            gib, rel=0.01
        )
