"""Outlines of the metal: closed loops along cell edges, without collinear points."""

from __future__ import annotations

from dataclasses import dataclass

from solvers.field.board import Mask

Point = tuple[int, int]  # corner of cells


@dataclass(frozen=True, kw_only=True)
class Outline:
    """One closed loop. Counter-clockwise around metal, clockwise around a hole."""

    points: tuple[Point, ...]

    @property
    def twice_area(self) -> int:
        """Twice the signed area in cells: positive around metal."""
        pairs = zip(self.points, (*self.points[1:], self.points[0]), strict=True)
        return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)

    @property
    def hole(self) -> bool:
        """True around air."""
        return self.twice_area < 0


def outlines(mask: Mask) -> list[Outline]:
    """Return all loops, the largest first, so that each comes after those around it.

    The mask has no cells that touch at a corner alone; so each corner begins one edge at most.
    """
    after: dict[Point, Point] = {}
    nx, ny = mask.shape

    def metal(i: int, j: int) -> bool:
        return 0 <= i < nx and 0 <= j < ny and bool(mask[i, j])

    for i in range(nx):
        for j in range(ny):
            if not mask[i, j]:
                continue
            # Metal lies to the left of each directed edge.
            sides = (
                ((i, j), (i + 1, j), metal(i, j - 1)),
                ((i + 1, j), (i + 1, j + 1), metal(i + 1, j)),
                ((i + 1, j + 1), (i, j + 1), metal(i, j + 1)),
                ((i, j + 1), (i, j), metal(i - 1, j)),
            )
            for start, end, covered in sides:
                if covered:
                    continue
                if start in after:
                    raise ValueError(f"metal: cells touch at corner {start} alone")
                after[start] = end
    loops = []
    while after:
        start = min(after)
        loop = [start]
        while (point := after.pop(loop[-1])) != start:
            loop.append(point)
        loops.append(Outline(points=_corners(loop)))
    return sorted(loops, key=lambda loop: -abs(loop.twice_area))


def _corners(loop: list[Point]) -> tuple[Point, ...]:
    """Return the points at which the loop turns."""
    count = len(loop)
    turns = []
    for number, (x, y) in enumerate(loop):
        (x0, y0), (x1, y1) = loop[number - 1], loop[(number + 1) % count]
        if (x - x0) * (y1 - y) != (x1 - x) * (y - y0):
            turns.append((x, y))
    return tuple(turns)
