"""Surrogates side by side: heads against direct regression, trunks, numbers of samples.

All nets of a comparison have the same number of weights within 2 % (the layer before the head is
widened or narrowed), the same designs, steps and schedule. The same designs are held out in all.
A run is kept in the work folder, so that an interrupted study resumes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.antenna.heads import Head
from cost_models.antenna.modal import uncorrected
from cost_models.antenna.modes import Reduced, reduce_many
from cost_models.antenna.nets import NetShape, Trunk, initial_weights, weight_count
from cost_models.antenna.tape import Node
from solvers.field.rational import fit as fit_rational
from workers.bench.antenna.specifications import ALL, TASKS
from workers.train.antenna.boards import DEFAULT
from workers.train.antenna.dataset import Samples, read_samples
from workers.train.antenna.designs import Source
from workers.train.antenna.figures import (
    band_scores,
    decibel,
    errors,
    predict,
    rank_correlations,
)
from workers.train.antenna.fit import FitParams, TrainingSet, fit
from workers.train.antenna.shards import shard_paths
from workers.train.antenna.train import Plan, describe, net_shape

_SIZES = {Trunk.CNN: (24, 3), Trunk.ATTENTION: (32, 3), Trunk.MLP: (96, 2)}
_WEIGHTS = 100_000
_LEAST_READOUT = 16
_TESTS = 1500  # held-out designs, at most
_STEPS = 1500
_BATCH = 32
_POLES = (4, 6, 8, 10, 12)
_AAA_DESIGNS = 200
_AT_ONCE = 100  # reduced models in memory
_REDUCED = (4, 8, 12, 16, 20, 24, 32)
_PICKS, _LIMIT_DB = (1, 4, 16), -10.0
_CIRCUITS, _MODES = 12, 20  # of heads
Real = NDArray[np.float64]
Complex = NDArray[np.complex64]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One net of the study."""

    trunk: Trunk
    head: Head
    samples: int
    seed: int
    cavity: bool = True
    feeds: int = 6  # of each design and step
    poles: int = _CIRCUITS
    steps: int = _STEPS


def run(
    *,
    work: Path,
    heads: Sequence[Head],
    trunks: Sequence[Trunk],
    samples: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    ablations: bool,
) -> Iterator[dict[str, Any]]:
    """Yield a line for each yardstick, then one for each net."""
    paths = shard_paths(work, "coarse")
    if not paths:
        raise SystemExit(
            f"work: expected shards in {work}, got none; run "
            "`python -m workers.train antenna data` first"
        )
    plain = read_samples(paths, None)
    tests = plain.test_rows[:_TESTS]
    study = work / "study"
    for count in (0, *samples):  # 0: those that learn nothing
        path = study / f"yardsticks-{count}-{plain.digest[:8]}.json"
        yield from _kept_lines(path, partial(_yardsticks, plain, tests, count))
    sets: dict[object, Samples] = {}

    def described(setting: Setting) -> Samples:
        """Return the designs as the net reads them; the last kind is kept in memory."""
        modal = setting.head is Head.MODAL
        kind = setting.poles if modal else None
        if kind not in sets:
            sets.clear()
            plan = Plan(head=setting.head, poles=setting.poles)
            sets[kind] = read_samples(paths, describe(DEFAULT, plan), max(samples))
        return sets[kind]

    for count in samples:
        settings = [
            Setting(
                trunk=trunk,
                head=head,
                samples=count,
                seed=seed,
                steps=steps,
                poles=_MODES if head is Head.MODAL else _CIRCUITS,
            )
            for trunk in trunks
            for head in heads
            for seed in seeds
        ]
        if ablations:
            settings += [
                replace(settings[0], seed=seed, **change)
                for change in (
                    {"cavity": False},
                    {"feeds": 1},
                    {"poles": 4},
                    {"poles": 8},
                    {"poles": 16},
                )
                if settings[0].head is not Head.MODAL or "cavity" not in change
                for seed in seeds
            ]
        for setting in settings:
            if setting.samples <= len(plain.train_rows):
                yield _kept(described, plain.digest, setting, study)


def matched(shape: NetShape, weights: int) -> NetShape:
    """Return the shape with the layer before the head sized for a number of weights."""
    rng = np.random.default_rng(0)

    def count(readout: int) -> int:
        return weight_count(initial_weights(replace(shape, readout=readout), rng))

    low, high = _LEAST_READOUT, 2048
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= weights else (low, middle)
    return replace(shape, readout=low)


def _kept(
    described: Callable[[Setting], Samples], digest: str, setting: Setting, folder: Path
) -> dict[str, Any]:
    """Return a run's line from its file, or run it and keep the line."""
    name = "-".join(str(value) for value in asdict(setting).values())
    path = folder / f"{name}-{digest[:8]}.json"
    state = path.with_suffix(".safetensors")
    (line,) = _kept_lines(path, lambda: [_trained(described(setting), setting, state)])
    state.unlink(missing_ok=True)
    return line


def _kept_lines(
    path: Path, make: Callable[[], Iterable[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return the lines in a file, or make them and keep them there."""
    if path.is_file():
        lines: list[dict[str, Any]] = json.loads(path.read_text())
        return lines
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = list(make())
    part = path.with_suffix(".part")
    part.write_text(json.dumps(lines))
    os.replace(part, path)
    return lines


def _trained(known: Samples, setting: Setting, state: Path) -> dict[str, Any]:
    tests = known.test_rows[:_TESTS]
    width, depth = _SIZES[setting.trunk]
    plan = Plan(
        trunk=setting.trunk,
        head=setting.head,
        width=width,
        depth=depth,
        poles=setting.poles,
        cavity=setting.cavity,
    )
    shape = matched(net_shape(DEFAULT.facts, plan), _WEIGHTS)
    rows = known.train_rows[: setting.samples]
    params = FitParams(
        epochs=max(1, round(setting.steps * _BATCH / len(rows))),
        seed=setting.seed,
        batch=_BATCH,
        average=0.99,
        feeds=setting.feeds,
    )
    began = time.process_time()
    sets = [TrainingSet(samples=known, rows=rows, fine=False)]
    net = fit(shape, sets, params, state=state, say=lambda _: None)
    spent = time.process_time() - began
    predicted, truth = predict(net, known, tests), known.curves[tests]
    searched = known.source[tests] == Source.TRAJECTORY
    groups = {"random": ~searched, "searched": searched}
    line: dict[str, Any] = {
        "net": asdict(setting),
        "weights": weight_count(dict(net.weights)),
        "epochs": params.epochs,
        "cpu_s": round(spent, 1),
        **errors(predicted, truth),
        "train": errors(predict(net, known, rows[:300]), known.curves[rows[:300]]),
    }
    for group, chosen in groups.items():
        if chosen.sum() >= 30:
            line[group] = {
                **errors(predicted[chosen], truth[chosen]),
                "rank_correlation": _mean_rank(predicted[chosen], truth[chosen]),
            }
    line["picked"] = picked(predicted, truth)
    return line


def picked(predicted: Complex, truth: Complex) -> dict[str, int]:
    """Return how many specifications the best held-out designs by prediction meet.

    A specification counts that some held-out design meets; the first `k` of the predicted order
    are looked at, as a search solves its best few designs.
    """
    levels = decibel(predicted), decibel(truth)
    counts = {"specifications": 0, **{f"met_in_{k}": 0 for k in _PICKS}}
    for bands in ALL:
        guess, true = (
            band_scores(level, DEFAULT.frequencies_hz, bands) for level in levels
        )
        meets = true <= _LIMIT_DB
        if meets.any():
            counts["specifications"] += 1
            order = meets[np.argsort(guess, kind="stable")]
            for k in _PICKS:
                counts[f"met_in_{k}"] += int(order[:k].any())
    return counts


def _mean_rank(predicted: Complex, truth: Complex) -> float:
    tasks = dict(enumerate(TASKS))
    correlations = rank_correlations(predicted, truth, DEFAULT.frequencies_hz, tasks)
    return float(np.mean(list(correlations.values())))


def _yardsticks(
    known: Samples, tests: NDArray[np.intp], count: int
) -> Iterator[dict[str, Any]]:
    """Yield errors of the nearest of `count` designs; for 0 of what learns nothing."""
    truth = known.curves[tests]
    if count:
        rows = known.train_rows[:count]
        predicted = known.curves[rows[_nearest(known, tests, rows)]]
        yield {
            "yardstick": "nearest design",
            "picked": picked(predicted, truth),
            "samples": len(rows),
            **errors(predicted, truth),
            "rank_correlation": _mean_rank(predicted, truth),
        }
        return
    mean = known.curves[known.train_rows].mean(axis=0)
    yield {
        "yardstick": "mean curve",
        **errors(np.broadcast_to(mean, truth.shape), truth),
    }
    x = np.linspace(-1, 1, truth.shape[1])
    for modes in _REDUCED:
        predicted = _reduced(known, tests, modes, x)
        yield {
            "yardstick": "reduced model, nothing learned",
            "modes": modes,
            "picked": picked(predicted, truth),
            "designs": len(predicted),
            **errors(predicted, truth),
            "rank_correlation": _mean_rank(predicted, truth),
        }
    for poles in _POLES:
        some = truth[:_AAA_DESIGNS]
        fitted = [
            fit_rational(x, curve.astype(complex), tolerance=0.0, most_nodes=poles + 1)(x)
            for curve in some
        ]
        yield {
            "yardstick": "rational fit of the truth (AAA)",
            "poles": poles,
            "designs": len(some),
            **errors(np.nan_to_num(np.array(fitted)).astype(np.complex64), some),
        }


def _reduced(known: Samples, tests: NDArray[np.intp], modes: int, x: Real) -> Complex:
    """Return S11 of the method of moments reduced to the lowest modes of each metal."""
    parts = []
    for start in range(0, len(tests), _AT_ONCE):
        some = tests[start : start + _AT_ONCE]
        cells = known.feeds[some, :1].astype(np.int64)
        models = reduce_many(DEFAULT.mode_tables, known.masks[some], cells, modes)
        nodes = Reduced(**{name: Node(value) for name, value in vars(models).items()})
        s11 = uncorrected(nodes, DEFAULT.facts.relative_width, x)
        parts.append(np.asarray(s11.value[:, 0]))
    return np.concatenate(parts)


def _nearest(
    known: Samples, tests: NDArray[np.intp], rows: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return for each test the nearest training design by Hamming distance around the feed.

    Masks are moved so that the feeds coincide; all eight orientations are tried.
    """
    of_tests = _centred(known, tests).reshape(len(tests), -1)
    pictures = _centred(known, rows)
    best = np.full(len(tests), np.inf)
    chosen = np.zeros(len(tests), np.intp)
    for turned in (pictures, pictures.transpose(0, 2, 1)):
        for flips in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
            flat = turned[:, :: flips[0], :: flips[1]].reshape(len(rows), -1)
            distance = (
                flat.sum(axis=1)[None]
                + of_tests.sum(axis=1)[:, None]
                - 2 * of_tests @ flat.T
            )
            at = distance.argmin(axis=1)
            least = distance[np.arange(len(tests)), at]
            better = least < best
            best, chosen = np.where(better, least, best), np.where(better, at, chosen)
    return chosen


def _centred(known: Samples, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return masks moved so that the feed is at the centre, (rows, 2n − 1, 2n − 1)."""
    n = known.masks.shape[1]
    result = np.zeros((len(rows), 2 * n - 1, 2 * n - 1), np.float32)
    for number, row in enumerate(rows):
        i, j = known.feeds[row, 0].astype(int)
        result[number, n - 1 - i : 2 * n - 1 - i, n - 1 - j : 2 * n - 1 - j] = (
            known.masks[row]
        )
    return result
