"""Layouts that the search methods draw, change and combine: rectangles or free cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.search.legalise import Rules
from solvers.field.board import Cell, Mask
from trimtab.specs.antenna import AntennaSpec, Topology

Real = NDArray[np.float64]
NUMBERS = 5  # of a rectangle in a vector: centre, sides, presence
_BLOCKS = 60  # larger changes of cells, and of posts, among the neighbours of a design
_BLOCK_SIZES = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2))
_SIDES = 0.15, 0.6  # of random rectangles, relative to the grid


class Layouts(Protocol):
    """Ways to make designs. All of them are legal."""

    def random(self, rng: np.random.Generator) -> Design:
        """Return a random design."""
        ...

    def mutate(self, design: Design, rng: np.random.Generator) -> Design:
        """Return a design that differs a little."""
        ...

    def cross(self, a: Design, b: Design, rng: np.random.Generator) -> Design:
        """Return a design of parts of two."""
        ...

    def neighbours(self, design: Design, rng: np.random.Generator) -> list[Design]:
        """Return the designs that differ by one change, and a sample of larger changes."""
        ...


class Vectors:
    """Rectangles, feed and vias as numbers in [0, 1], for methods on continuous variables.

    Five numbers a rectangle (centre x, centre y, side x, side y, presence), two for a free feed,
    three a via (x, y, presence). The first rectangle is always present and covers the feed.
    """

    def __init__(self, spec: AntennaSpec, rules: Rules) -> None:
        self.rules = rules
        self.rectangles = spec.max_rectangles
        self._feed_at = NUMBERS * self.rectangles
        self._vias_at = self._feed_at + (2 if rules.feed is None else 0)
        self.size = self._vias_at + 3 * rules.max_vias

    def random(self, rng: np.random.Generator) -> Real:
        """Return a random vector."""
        x = rng.random(self.size)
        sides = x[: self._feed_at].reshape(-1, NUMBERS)[:, 2:4]
        sides[:] = _SIDES[0] + (_SIDES[1] - _SIDES[0]) * sides
        return x

    def decode(self, x: Real) -> Design:
        """Return the legal design of a vector."""
        return self.decode_many([x])[0]

    def decode_many(self, vectors: Sequence[Real]) -> list[Design]:
        """Return the legal designs of vectors."""
        return self.rules.legal_many([self._drawn(x) for x in vectors])

    def feed_of(self, x: Real) -> Cell:
        """Return the feed of a vector."""
        if self.rules.feed is not None:
            return self.rules.feed
        n = self.rules.cells
        return _index(x[self._feed_at], n), _index(x[self._feed_at + 1], n)

    def extents(
        self, numbers: Real, cover: Cell | None
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return first and last cell + 1 of a rectangle, along x and y.

        cover: a cell that it is moved over.
        """
        n = self.rules.cells
        return (
            _extent(numbers[0], numbers[2], n, None if cover is None else cover[0]),
            _extent(numbers[1], numbers[3], n, None if cover is None else cover[1]),
        )

    def _drawn(self, x: Real) -> Design:
        x = np.clip(x, 0, 1)
        n, feed = self.rules.cells, self.feed_of(x)
        mask = np.zeros((n, n), bool)
        for number, row in enumerate(x[: self._feed_at].reshape(-1, NUMBERS)):
            if number and row[4] < 0.5:
                continue
            (x0, x1), (y0, y1) = self.extents(row, feed if number == 0 else None)
            mask[x0:x1, y0:y1] = True
        vias = tuple(
            (_index(row[0], n), _index(row[1], n))
            for row in x[self._vias_at :].reshape(-1, 3)
            if row[2] >= 0.5
        )
        return Design(mask=mask, feed=feed, vias=vias)


class RectangleLayouts:
    """Designs of a few rectangles; each remembers the vector it was made from."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        self._origin: dict[bytes, Real] = {}

    def random(self, rng: np.random.Generator) -> Design:
        """Return random rectangles."""
        return self._made(self._vectors.random(rng))

    def mutate(self, design: Design, rng: np.random.Generator) -> Design:
        """Move about a tenth of the numbers by about a cell; sometimes draw one anew."""
        x = self._of(design, rng).copy()
        chosen = rng.random(len(x)) < 0.12
        chosen[rng.integers(len(x))] = True
        step = 1.5 / self._vectors.rules.cells
        moved = np.where(
            rng.random(len(x)) < 0.15,
            rng.random(len(x)),
            x + step * rng.standard_normal(len(x)),
        )
        return self._made(np.clip(np.where(chosen, moved, x), 0, 1))

    def cross(self, a: Design, b: Design, rng: np.random.Generator) -> Design:
        """Take each rectangle from either parent."""
        x, y = self._of(a, rng), self._of(b, rng)
        groups = np.concatenate(
            [
                np.repeat(np.arange(self._vectors.rectangles), NUMBERS),
                np.arange(len(x) - NUMBERS * self._vectors.rectangles) // 3 + 100,
            ]
        )
        from_b = rng.random(int(groups.max()) + 1) < 0.5
        return self._made(np.where(from_b[groups], y, x))

    def neighbours(self, design: Design, rng: np.random.Generator) -> list[Design]:
        """Return the design with each number moved by a cell either way, or drawn anew."""
        x = self._of(design, rng)
        step = 1.0 / self._vectors.rules.cells
        changed = []
        for index in range(len(x)):
            for value in (x[index] - step, x[index] + step, rng.random()):
                y = x.copy()
                y[index] = np.clip(value, 0, 1)
                changed.append(y)
        decoded = self._vectors.decode_many(changed)
        for made, y in zip(decoded, changed, strict=True):
            self._origin.setdefault(made.key, y)
        return _distinct(decoded, design)

    def _of(self, design: Design, rng: np.random.Generator) -> Real:
        """Return the vector of a design, or a random one for a design made elsewhere."""
        x = self._origin.get(design.key)
        return self._vectors.random(rng) if x is None else x

    def _made(self, x: Real) -> Design:
        design = self._vectors.decode(x)
        self._origin[design.key] = x
        return design


class PixelLayouts:
    """Designs of free cells."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors, self._rules = vectors, vectors.rules

    def random(self, rng: np.random.Generator) -> Design:
        """Return random rectangles."""
        return self._vectors.decode(self._vectors.random(rng))

    def mutate(self, design: Design, rng: np.random.Generator) -> Design:
        """Flip cells at the outline, set or clear a rectangle, shift all, or move a post."""
        mask, feed, vias = design.mask.copy(), design.feed, design.vias
        kind = rng.random()
        posts = (self._rules.feed is None) + (self._rules.max_vias > 0)
        if kind < 0.15 * posts:
            feed, vias = self._moved_posts(design, rng)
        elif kind < 0.6:
            outline = np.argwhere(_outline(mask))
            for _ in range(int(rng.integers(1, 4))):
                i, j = outline[rng.integers(len(outline))]
                mask[i, j] ^= True
        elif kind < 0.9:
            n = len(mask)
            w, h = rng.integers(1, max(2, n // 3), 2)
            i, j = rng.integers(0, n - w + 1), rng.integers(0, n - h + 1)
            mask[i : i + w, j : j + h] = rng.random() < 0.5
        else:
            mask = np.roll(mask, rng.choice((-1, 1)), axis=int(rng.integers(2)))
        return self._rules.legal(Design(mask=mask, feed=feed, vias=vias))

    def cross(self, a: Design, b: Design, rng: np.random.Generator) -> Design:
        """Take a block from the second parent, the rest from the first."""
        n = len(a.mask)
        (x0, x1), (y0, y1) = np.sort(rng.integers(0, n + 1, (2, 2)), axis=1)
        mask = a.mask.copy()
        mask[x0:x1, y0:y1] = b.mask[x0:x1, y0:y1]
        feed, vias = (a.feed, a.vias) if rng.random() < 0.5 else (b.feed, b.vias)
        return self._rules.legal(Design(mask=mask, feed=feed, vias=vias))

    def neighbours(self, design: Design, rng: np.random.Generator) -> list[Design]:
        """Return the design with each cell flipped, random blocks set or cleared, posts moved."""
        n = len(design.mask)
        masks = np.repeat(design.mask[None], n * n + _BLOCKS, axis=0)
        cells = np.arange(n * n)
        masks[cells, cells // n, cells % n] ^= True
        for mask in masks[n * n :]:
            w, h = _BLOCK_SIZES[int(rng.integers(len(_BLOCK_SIZES)))]
            i, j = rng.integers(0, n - w + 1), rng.integers(0, n - h + 1)
            mask[i : i + w, j : j + h] = rng.random() < 0.5
        changed = [
            Design(mask=mask, feed=design.feed, vias=design.vias) for mask in masks
        ]
        if self._rules.feed is None or self._rules.max_vias:
            posts = [self._moved_posts(design, rng) for _ in range(_BLOCKS)]
            changed += [
                Design(mask=design.mask, feed=feed, vias=vias) for feed, vias in posts
            ]
        return _distinct(self._rules.legal_many(changed), design)

    def _moved_posts(
        self, design: Design, rng: np.random.Generator
    ) -> tuple[Cell, tuple[Cell, ...]]:
        n, metal = len(design.mask), np.argwhere(design.mask)
        feed, vias = design.feed, list(design.vias)
        if self._rules.feed is None and (not self._rules.max_vias or rng.random() < 0.5):
            if rng.random() < 0.5:
                i, j = np.clip(np.array(feed) + rng.integers(-1, 2, 2), 0, n - 1)
            else:
                i, j = metal[rng.integers(len(metal))]
            return (int(i), int(j)), tuple(vias)
        if vias and rng.random() < 0.5:
            vias.pop(int(rng.integers(len(vias))))
        if len(vias) < self._rules.max_vias and rng.random() < 0.8:
            i, j = metal[rng.integers(len(metal))]
            vias.append((int(i), int(j)))
        return feed, tuple(vias)


def layouts_of(spec: AntennaSpec, rules: Rules) -> Layouts:
    """Return the layouts of the job's topology."""
    vectors = Vectors(spec, rules)
    if spec.topology is Topology.RECTANGLES:
        return RectangleLayouts(vectors)
    return PixelLayouts(vectors)


def _distinct(designs: Sequence[Design], present: Design) -> list[Design]:
    """Return each design once, the present one not at all."""
    distinct = {design.key: design for design in designs}
    distinct.pop(present.key, None)
    return list(distinct.values())


def _index(value: float, count: int) -> int:
    return min(count - 1, int(value * count))


def _extent(centre: float, side: float, cells: int, cover: int | None) -> tuple[int, int]:
    """Return first and last cell + 1 of a side, moved over the cell to cover."""
    length = max(1, min(cells, round(side * cells)))
    start = min(cells - length, max(0, round(centre * cells - length / 2)))
    if cover is not None:
        start = min(max(start, cover - length + 1), cover)
        start = min(cells - length, max(0, start))
    return start, start + length


def _outline(mask: Mask) -> Mask:
    """Cells that differ from a neighbour, the outside being air."""
    padded = np.pad(mask, 1)
    return np.asarray(
        (mask ^ padded[2:, 1:-1])
        | (mask ^ padded[:-2, 1:-1])
        | (mask ^ padded[1:-1, 2:])
        | (mask ^ padded[1:-1, :-2])
    )
