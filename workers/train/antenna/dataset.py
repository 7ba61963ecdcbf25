"""Shards as one set of samples: without duplicates, split by family, drawn in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_models.antenna.cavity import Cavity
from cost_models.antenna.image import canonical
from cost_models.antenna.modes import BoardTables, Given, Reduced, reduce_many
from workers.train.antenna.designs import FEEDS, Source
from workers.train.antenna.shards import Shard, read_shard

TEST_PERCENT = 5
_NONE = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Labelled designs; `first[i]` and `count[i]` give the rows of `solved` and `s11`."""

    masks: NDArray[np.bool_]  # (n, cells, cells)
    feeds: NDArray[np.uint8]  # (n, FEEDS, 2), repeated where the metal has fewer cells
    source: NDArray[np.uint8]  # (n,)
    first: NDArray[np.int64]  # (n,)
    count: NDArray[np.int64]  # (n,)
    solved: NDArray[np.int16]  # (total,)
    # (total,) share of the band that a solved frequency stands for
    widths: NDArray[np.float32]
    s11: NDArray[np.complex64]  # (total, FEEDS)
    curves: NDArray[np.complex64]  # (n, frequencies), first feed
    given: Given  # at all feeds: reduced models, cavity features or nothing
    is_test: NDArray[np.bool_]  # (n,)
    digest: str  # of all labels

    def __len__(self) -> int:
        return len(self.masks)

    @cached_property
    def train_rows(self) -> NDArray[np.intp]:
        """Rows to train on."""
        return np.flatnonzero(~self.is_test)

    @cached_property
    def test_rows(self) -> NDArray[np.intp]:
        """Held-out rows."""
        return np.flatnonzero(self.is_test)

    def of_source(self, rows: NDArray[np.intp], source: Source) -> NDArray[np.intp]:
        """Return the rows of one origin."""
        return rows[self.source[rows] == source]


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Samples for one step: some feeds and some solved frequencies of each."""

    masks: NDArray[np.float32]  # (b, cells, cells)
    cells: NDArray[np.int64]  # (b, f, 2)
    given: Given
    points: NDArray[np.int16]  # (b, s) numbers of frequencies
    widths: NDArray[np.float32]  # (b, s), mean near 1
    s11: NDArray[np.complex64]  # (b, f, s)


Describe = Callable[[NDArray[np.bool_], NDArray[np.int64]], Given]
"""From masks (n, c, c) and feeds (n, FEEDS, 2) to what the net reads beside the image."""


def by_cavity(cavity: Cavity) -> Describe:
    """Describe designs by the cavity model."""

    def describe(
        masks: NDArray[np.bool_], feeds: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        pairs = zip(masks.astype(float), feeds, strict=True)
        return np.array([cavity.features(m, cells) for m, cells in pairs], np.float32)

    return describe


def by_modes(tables: BoardTables, modes: int) -> Describe:
    """Describe designs by reduced models of so many modes."""
    return lambda masks, feeds: reduce_many(tables, masks, feeds, modes)


def read_samples(
    paths: Sequence[Path], describe: Describe | None, most: int | None = None
) -> Samples:
    """Read shards. Designs equal up to translation and symmetry are kept once.

    A family is held out when the hash of its founder's image says so: the same designs are held
    out however many shards there are, and on both meshes. The coarse shard of a fine one must lie
    beside it; it has the founders. most: designs to train on, the first ones.
    """
    digest = hashlib.sha256()
    seen: set[bytes] = set()
    parts: list[tuple[Shard, list[int], list[bool]]] = []
    for path in paths:
        shard = read_shard(path)
        coarse = path.with_name(path.name.replace("fine-", "coarse-"))
        founders = shard if coarse == path else read_shard(coarse)
        digest.update(shard.s11.tobytes())
        digest.update(shard.masks.tobytes())
        held_out = {
            family: _is_held_out(founders.mask(min(family, len(founders.masks) - 1)))
            for family in set(shard.family.tolist())
        }
        rows: list[int] = []
        tests: list[bool] = []
        for index, family in enumerate(shard.family.tolist()):
            form = canonical(shard.mask(index))
            if form not in seen:
                seen.add(form)
                rows.append(index)
                tests.append(held_out[family])
        parts.append((shard, rows, tests))
    if most is not None:
        parts = _first(parts, most)
    return _joined(parts, digest.hexdigest(), describe)


def _first(
    kept: list[tuple[Shard, list[int], list[bool]]], most: int
) -> list[tuple[Shard, list[int], list[bool]]]:
    """Return all held-out designs and the first `most` others."""
    result, left = [], most
    for shard, rows, tests in kept:
        chosen = []
        for row, test in zip(rows, tests, strict=True):
            if test or left:
                chosen.append((row, test))
                left -= not test
        result.append((shard, [row for row, _ in chosen], [test for _, test in chosen]))
    return result


def _is_held_out(founder: NDArray[np.bool_]) -> bool:
    return hashlib.sha256(canonical(founder)).digest()[0] < 2.56 * TEST_PERCENT


def _joined(
    kept: list[tuple[Shard, list[int], list[bool]]],
    digest: str,
    describe: Describe | None,
) -> Samples:
    starts = np.cumsum([0, *(len(shard.solved) for shard, _, _ in kept)])
    solved = np.concatenate([shard.solved for shard, _, _ in kept])
    first = [
        shard.first[rows].astype(np.int64) + start
        for (shard, rows, _), start in zip(kept, starts, strict=False)
    ]
    count = [np.diff(shard.first)[rows].astype(np.int64) for shard, rows, _ in kept]
    feeds = np.concatenate([_filled(shard.feeds[rows]) for shard, rows, _ in kept])
    masks = np.array([shard.mask(row) for shard, rows, _ in kept for row in rows])
    s11 = np.concatenate([_repeated(shard) for shard, _, _ in kept])
    widths = np.concatenate([_widths(shard) for shard, _, _ in kept])
    return Samples(
        masks=masks,
        feeds=feeds,
        source=np.concatenate([shard.source[rows] for shard, rows, _ in kept]),
        first=np.concatenate(first),
        count=np.concatenate(count),
        solved=solved,
        widths=widths,
        s11=s11,
        curves=np.concatenate([shard.curves[rows] for shard, rows, _ in kept]),
        given=None if describe is None else describe(masks, feeds.astype(np.int64)),
        is_test=np.array([test for _, _, tests in kept for test in tests]),
        digest=digest,
    )


def draw_batch(
    samples: Samples,
    rows: NDArray[np.intp],
    rng: np.random.Generator,
    *,
    feeds: int,
    points: int,
) -> Batch:
    """Draw feeds and solved frequencies, spread over the band, for the given rows."""
    size = len(rows)
    strata = (np.arange(points) + rng.random((size, points))) / points
    flat = samples.first[rows, None] + np.floor(
        strata * samples.count[rows, None]
    ).astype(np.int64)
    # The search's own feed is always among them.
    others = rng.permuted(np.tile(np.arange(1, FEEDS), (size, 1)), axis=1)
    chosen = np.concatenate(
        [np.zeros((size, 1), np.int64), others[:, : feeds - 1]], axis=1
    )
    cells = samples.feeds[rows][np.arange(size)[:, None], chosen].astype(np.int64)
    s11 = samples.s11[flat[:, None, :], chosen[:, :, None]]
    widths = samples.widths[flat] * samples.count[rows, None]
    return Batch(
        masks=samples.masks[rows].astype(np.float32),
        cells=cells,
        given=_at_feeds(samples.given, rows, chosen),
        points=samples.solved[flat],
        widths=widths.astype(np.float32),
        s11=s11,
    )


def first_feed(samples: Samples, rows: NDArray[np.intp]) -> Given:
    """Return what the net reads beside the image, at the first feed alone."""
    return _at_feeds(samples.given, rows, np.zeros((len(rows), 1), np.int64))


def _at_feeds(given: Given, rows: NDArray[np.intp], chosen: NDArray[np.int64]) -> Given:
    if not isinstance(given, Reduced):
        return None if given is None else np.asarray(given[rows[:, None], chosen])
    at_feeds = {"coupling", "rest"}
    return Reduced(
        **{
            name: value[rows[:, None], chosen] if name in at_feeds else value[rows]
            for name, value in vars(given).items()
        }
    )


def _filled(feeds: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the first feed where a design has fewer than FEEDS."""
    absent = feeds[..., :1] == _NONE
    return np.where(absent, feeds[:, :1], feeds)


def _repeated(shard: Shard) -> NDArray[np.complex64]:
    return np.where(np.isnan(shard.s11.real), shard.s11[:, :1], shard.s11)


def _widths(shard: Shard) -> NDArray[np.float32]:
    """Return the part of the band that is closest to each solved frequency; 1 in all a design."""
    count = shard.curves.shape[1]
    widths = np.empty(len(shard.solved), np.float32)
    for start, end in zip(shard.first[:-1], shard.first[1:], strict=True):
        at = shard.solved[start:end].astype(float)
        edges = np.concatenate([[-0.5], (at[1:] + at[:-1]) / 2, [count - 0.5]])
        widths[start:end] = np.diff(edges) / count
    return widths
