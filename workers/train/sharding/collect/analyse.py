"""Analyse a file of measured costs: its noise floor, and the errors of simple models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workers.train.sharding.collect.errors import CollectError
from workers.train.sharding.collect.journal import Line
from workers.train.sharding.collect.random_sets import TableConfig

FORMAT = "trimtab-tbe-costs/1"
PARTS = ("forward", "backward", "total")
MIN_SETS = 20
STRETCH = 20  # sets: about half a minute on a CPU


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A measured set, single or noise sample."""

    kind: str
    index: int
    tables: np.ndarray  # (tables, 3): place in the pool, look-ups, unique rows
    builds_ms: np.ndarray  # (builds, 3): PARTS

    @property
    def cost_ms(self) -> np.ndarray:
        """(3,) medians over the builds."""
        return np.median(self.builds_ms, axis=0)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Relative differences between builds of one sample, averaged over the noise samples.

    Each (3,): PARTS.
    """

    cv_one: np.ndarray
    """Standard deviation over mean of single builds."""
    cv_median: np.ndarray
    """The same for medians over as many builds as a set has."""
    again: np.ndarray
    """Mean |a/b - 1| of set a and the later noise sample b of the same tables.

    A perfect model would show this error.
    """
    samples: int


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Mean absolute percentage error of one model on the held-out fifth."""

    model: str
    mape: np.ndarray  # (3,) PARTS


def report(header: Line, lines: list[Line], *, seed: int) -> str:
    """Return the analysis as a table in text."""
    if header.get("format") != FORMAT:
        raise CollectError(
            f"format: expected {FORMAT!r}, got {header.get('format')!r}; "
            "give a file that collect-tbe wrote"
        )
    try:
        pool = [TableConfig.of_row(row) for row in header["pool"]]
        batch = int(header["draw"]["batch"])
        samples = [_sample(line, len(pool)) for line in lines]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CollectError(
            f"not a file of collect-tbe: {type(error).__name__}: {error}"
        ) from None
    by_kind = {
        kind: [s for s in samples if s.kind == kind]
        for kind in ("set", "single", "noise")
    }
    text = [", ".join(f"{len(group)} of kind {kind}" for kind, group in by_kind.items())]
    text.append(" " * 44 + "".join(f"{part:>10}" for part in PARTS))
    if by_kind["noise"]:
        floor = noise(by_kind["noise"], by_kind["set"])
        builds = len(by_kind["set"][0].builds_ms) if by_kind["set"] else 1
        text += [
            _row(f"noise: CV of one build ({floor.samples} samples)", floor.cv_one),
            _row(f"noise: CV of a median of {builds} builds", floor.cv_median),
            _row("noise: set against its repetition", floor.again),
        ]
    text.append(
        _row(
            f"drift: slowest {STRETCH} sets in a row", drift(by_kind["set"], pool, batch)
        )
    )
    text += [
        _row(f"MAPE: {e.model}", e.mape)
        for e in errors(by_kind["set"], by_kind["single"], pool, batch, seed=seed)
    ]
    return "\n".join(text)


def _row(name: str, values: np.ndarray) -> str:
    return f"{name:<44}" + "".join(f"{100 * v:>9.1f}%" for v in values)


def _sample(line: Line, pool: int) -> Sample:
    tables = np.asarray(line["tables"], np.int64).reshape(-1, 3)
    forward, backward = (
        np.asarray(line["forward_ms"], float),
        np.asarray(line["backward_ms"], float),
    )
    builds = np.stack([forward, backward, forward + backward], axis=1)
    if (
        not len(tables)
        or not len(builds)
        or not np.isfinite(builds).all()
        or (builds <= 0).any()
    ):
        raise ValueError(
            f"{line['kind']} {line['index']}: expected tables and positive times"
        )
    if (tables < 0).any() or tables[:, 0].max() >= pool:
        raise ValueError(
            f"{line['kind']} {line['index']}: expected tables in the pool of {pool}"
        )
    return Sample(
        kind=str(line["kind"]), index=int(line["index"]), tables=tables, builds_ms=builds
    )


def noise(repeated: list[Sample], sets: list[Sample]) -> Noise:
    """Compute the noise from the noise samples and the sets that they repeat."""
    first = {s.index: s for s in sets}
    pairs = [(first[s.index], s) for s in repeated if s.index in first]
    medians = [
        _cv(_medians(s.builds_ms, len(a.builds_ms)))
        for a, s in pairs
        if len(s.builds_ms) >= 2 * len(a.builds_ms)
    ]
    again = [np.abs(a.cost_ms / b.cost_ms - 1) for a, b in pairs]
    unknown = np.full(len(PARTS), np.nan)
    return Noise(
        cv_one=np.mean([_cv(s.builds_ms) for s in repeated], axis=0),
        cv_median=np.mean(medians, axis=0) if medians else unknown,
        again=np.mean(again, axis=0) if again else unknown,
        samples=len(repeated),
    )


def _medians(builds: np.ndarray, size: int) -> np.ndarray:
    """Return medians of groups of builds; (builds, 3) → (groups, 3).

    The builds of each group are spread over the whole time, like those of a set.
    """
    groups = len(builds) // size
    return np.median(builds[: groups * size].reshape(size, groups, len(PARTS)), axis=0)


def _cv(values: np.ndarray) -> np.ndarray:
    """Return standard deviation over mean; (n, 3) → (3,)."""
    return values.std(axis=0, ddof=1) / values.mean(axis=0)


def errors(
    sets: list[Sample],
    singles: list[Sample],
    pool: list[TableConfig],
    batch: int,
    *,
    seed: int,
) -> list[Errors]:
    """Fit models on four fifths of the sets, and return their errors on the rest."""
    if len(sets) < MIN_SETS:
        raise CollectError(
            f"expected at least {MIN_SETS} sets, got {len(sets)}; collect more"
        )
    order = np.random.default_rng(seed).permutation(len(sets))
    test, train = order[: len(sets) // 5], order[len(sets) // 5 :]
    true = np.stack([s.cost_ms for s in sets])  # (sets, 3)

    def measured(model: str, predicted: np.ndarray) -> Errors:
        return Errors(
            model=model, mape=np.mean(np.abs(predicted / true[test] - 1), axis=0)
        )

    def fitted(model: str, of_part: list[np.ndarray]) -> Errors:
        predicted = [
            _fitted(x[train], true[train, k], x[test]) for k, x in enumerate(of_part)
        ]
        return measured(model, np.stack(predicted, axis=1))

    models = [fitted("a constant", [np.ones((len(sets), 1))] * len(PARTS))]
    alone = {s.index: s.cost_ms for s in singles}
    if all(int(i) in alone for s in sets for i in s.tables[:, 0]):
        sums = np.stack(
            [np.sum([alone[int(i)] for i in s.tables[:, 0]], axis=0) for s in sets]
        )
        models.append(measured("sum of measured singles", sums[test]))
        models.append(
            fitted(
                "line through that sum",
                [_with_one(sums[:, [k]]) for k in range(len(PARTS))],
            )
        )
    four = _with_one(amounts(sets, pool, batch))
    models.append(fitted("linear in four amounts", [four] * len(PARTS)))
    return models


def drift(sets: list[Sample], pool: list[TableConfig], batch: int) -> np.ndarray:
    """Return (3,) the excess of the slowest stretch, in measured order, over the linear model.

    The median of a stretch is near 0 % on a quiet machine; only this figure shows other programs.
    """
    if len(sets) < MIN_SETS:
        return np.full(len(PARTS), np.nan)
    true = np.stack([s.cost_ms for s in sets])
    x = _with_one(amounts(sets, pool, batch))
    ratio = np.stack([part / _fitted(x, part, x) for part in true.T], axis=1)
    stretches = np.stack(
        [
            np.median(ratio[i : i + STRETCH], axis=0)
            for i in range(len(sets) - STRETCH + 1)
        ]
    )
    return np.max(stretches, axis=0) / np.median(ratio, axis=0) - 1


def amounts(sets: list[Sample], pool: list[TableConfig], batch: int) -> np.ndarray:
    """Return (sets, 4) look-ups x bytes, unique rows x bytes, look-ups, outputs."""
    dims = np.array([t.dim for t in pool])
    rows = []
    for sample in sets:
        place, lookups, unique = sample.tables.T
        width = dims[place]
        rows.append(
            [
                (lookups * width).sum() * 4,
                (unique * width).sum() * 4,
                lookups.sum(),
                batch * width.sum(),
            ]
        )
    return np.asarray(rows, float)


def _with_one(x: np.ndarray) -> np.ndarray:
    return np.hstack([x, np.ones((len(x), 1))])


def _fitted(x: np.ndarray, true: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Predict `new` by relative least squares, the w that minimises sum (x w / true - 1)^2."""
    scale = np.abs(x).max(axis=0)
    weights = np.linalg.lstsq(x / scale / true[:, None], np.ones(len(x)), rcond=None)[0]
    return (new / scale) @ weights
