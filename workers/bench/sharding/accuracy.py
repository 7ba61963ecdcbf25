"""`python -m workers.bench sharding models`: accuracy of cost models on unseen tables.

Tables come from another pool than the training's (seed 2023, not 856). Each model sees the tables
alone; additive models are fitted by relative least squares on 2,000 sets of the *training* pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from cost_models.sharding.features import MAGNITUDE, physical_features
from cost_models.sharding.hardware import PROFILES
from cost_models.sharding.nets import PaperComputeNet
from cost_models.sharding.problem import Shards, TableArrays
from cost_models.sharding.simulator import compute_ms
from cost_models.weights import WeightsRefused, load_weights
from search.domains.sharding.search.models import Models
from search.domains.sharding.search.starts import torchrec_perf
from trimtab.specs.sharding import Hardware, Optimizer, Table
from workers.bench.sharding.tasks import PAPER_BATCH, UNSEEN_POOL_SEED, Setting, tasks

_TRAIN_POOL_SEED = 856
_WIDTHS = np.array([128, 64, 32, 16, 8, 4])
_PLANS = 24
Predict = Callable[[TableArrays, np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
"""(arrays, table, width, group, groups) → milliseconds of each group."""


def run(models: Models, *, say: Callable[[str], object]) -> Iterator[dict[str, Any]]:
    """Yield one line for each profile and model."""
    for hardware in Hardware:
        say(f"profile {hardware.value} …")
        for name, predict in _models(models, hardware):
            yield {
                "profile": hardware.value,
                "model": name,
                **set_error(predict, hardware),
                **_plans(predict, hardware),
            }


def _models(models: Models, hardware: Hardware) -> Iterator[tuple[str, Predict]]:
    profile = PROFILES[hardware]
    head = models.compute.head(profile)

    def conditioned(
        arrays: TableArrays,
        table: np.ndarray,
        width: np.ndarray,
        group: np.ndarray,
        groups: int,
    ) -> np.ndarray:
        return head(
            pool_rows(models.compute.embed(arrays, table, width, profile), group, groups)
        )

    yield "trimtab", conditioned
    try:
        net = PaperComputeNet.of(
            load_weights(f"neuroshard-compute-{hardware.value}", folder=models.folder)
        )
    except WeightsRefused:
        pass
    else:

        def paper(
            arrays: TableArrays,
            table: np.ndarray,
            width: np.ndarray,
            group: np.ndarray,
            groups: int,
        ) -> np.ndarray:
            return net.cost(pool_rows(net.embed(arrays, table, width), group, groups))

        yield "neuroshard", paper

    def singles(
        arrays: TableArrays,
        table: np.ndarray,
        width: np.ndarray,
        group: np.ndarray,
        groups: int,
    ) -> np.ndarray:
        alone = Shards(
            table=table, width=width, group=np.arange(len(table)), groups=len(table)
        )
        return np.bincount(
            group, weights=compute_ms(arrays, alone, profile).total_ms, minlength=groups
        )

    yield "sum of singles (oracle)", singles

    def quantities(
        arrays: TableArrays, table: np.ndarray, width: np.ndarray
    ) -> np.ndarray:
        return physical_features(arrays, table, width, profile)[:, list(MAGNITUDE)]

    def bytes_moved(
        arrays: TableArrays, table: np.ndarray, width: np.ndarray
    ) -> np.ndarray:
        return torchrec_perf(arrays, table, width.astype(float))[:, None]

    yield "linear, physical quantities", _fitted(quantities, hardware)
    yield "additive, TorchRec's estimate scaled", _fitted(bytes_moved, hardware)


def _fitted(
    features: Callable[[TableArrays, np.ndarray, np.ndarray], np.ndarray],
    hardware: Hardware,
) -> Predict:
    """Fit pooled features and a constant on the training pool by relative least squares."""
    arrays, table, width, group, groups = _draw(
        _TRAIN_POOL_SEED, np.random.default_rng(1), 2_000
    )
    target = _oracle(arrays, table, width, group, groups, hardware)

    def pooled(
        a: TableArrays, t: np.ndarray, w: np.ndarray, g: np.ndarray, n: int
    ) -> np.ndarray:
        return np.column_stack([pool_rows(features(a, t, w), g, n), np.ones(n)])

    weights, *_ = np.linalg.lstsq(
        pooled(arrays, table, width, group, groups) / target[:, None],
        np.ones(groups),
        rcond=None,
    )
    return lambda a, t, w, g, n: pooled(a, t, w, g, n) @ weights


def set_error(predict: Predict, hardware: Hardware) -> dict[str, Any]:
    """Return the error on 5,000 sets of 1 to 15 unseen tables."""
    arrays, table, width, group, groups = _draw(
        UNSEEN_POOL_SEED, np.random.default_rng(2), 5_000
    )
    target = _oracle(arrays, table, width, group, groups, hardware)
    ratio = predict(arrays, table, width, group, groups) / target
    return {
        "mape": float(np.abs(ratio - 1).mean()),
        "p95": float(np.quantile(np.abs(ratio - 1), 0.95)),
        "rank_correlation": float(kendalltau(ratio * target, target).statistic),
    }


def _plans(predict: Predict, hardware: Hardware) -> dict[str, Any]:
    """Rank 24 random plans of each of 40 tasks by their slowest device.

    Returns Kendall's tau and the regret of the first plan.
    """
    taus, regrets = [], []
    rng = np.random.default_rng(3)
    for spec in tasks(Setting(source="meta", devices=8, max_dim=128), 40, seed=7):
        arrays = TableArrays.of(spec.tables, batch=PAPER_BATCH, optimizer=Optimizer.SGD)
        count = len(arrays)
        table = np.tile(np.arange(count), _PLANS)
        width = arrays.dim[table]
        group = rng.integers(0, 8, count * _PLANS) + 8 * np.repeat(
            np.arange(_PLANS), count
        )
        true = (
            _oracle(arrays, table, width, group, 8 * _PLANS, hardware)
            .reshape(_PLANS, 8)
            .max(1)
        )
        predicted = (
            predict(arrays, table, width, group, 8 * _PLANS).reshape(_PLANS, 8).max(1)
        )
        taus.append(kendalltau(predicted, true).statistic)
        regrets.append(true[predicted.argmin()] / true.min() - 1)
    return {"plan_tau": float(np.mean(taus)), "top1_regret": float(np.mean(regrets))}


def _draw(
    pool_seed: int, rng: np.random.Generator, sets: int
) -> tuple[TableArrays, np.ndarray, np.ndarray, np.ndarray, int]:
    from cost_models.sharding.generator import meta_like

    pool: list[Table] = meta_like(856, np.random.default_rng(pool_seed))
    arrays = TableArrays.of(pool, batch=PAPER_BATCH, optimizer=Optimizer.SGD)
    size = rng.integers(1, 16, sets)
    table = rng.integers(0, len(pool), size.sum())
    width = rng.choice(_WIDTHS, size.sum())
    return arrays, table, width, np.repeat(np.arange(sets), size), sets


def _oracle(
    arrays: TableArrays,
    table: np.ndarray,
    width: np.ndarray,
    group: np.ndarray,
    groups: int,
    hardware: Hardware,
) -> np.ndarray:
    return compute_ms(
        arrays,
        Shards(table=table, width=width, group=group, groups=groups),
        PROFILES[hardware],
    ).total_ms


def pool_rows(rows: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Sum rows by group; (M, K) → (G, K)."""
    pooled = np.zeros((groups, rows.shape[1]))
    np.add.at(pooled, group, rows)
    return pooled
