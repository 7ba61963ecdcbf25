"""Rules for legal metal, and the repair that makes any mask obey them.

Legal metal covers the feed and the vias, touches itself along edges only (cells that meet at a
corner alone are open to the method of moments and connected to a finite-difference grid), is
nowhere narrower than the least feature, and has no island of a single cell. On request it is
mirrored about the grid's centre line along x, and one piece.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from search.domains.antenna.design import Design
from solvers.field.board import Cell
from trimtab.specs.antenna import AntennaSpec

Masks = NDArray[np.bool_]  # (designs, cells, cells)
_IN_PLANE = np.zeros((3, 3, 3), bool)  # neighbours along edges within one design
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)


class Rules:
    """The rules of one job."""

    def __init__(self, spec: AntennaSpec) -> None:
        self.cells = spec.grid.cells
        self.feed = spec.feed
        self.max_vias = spec.max_vias
        self._feature = spec.feature_cells
        self._symmetric, self._connected = spec.symmetric, spec.connected

    def legal(self, design: Design) -> Design:
        """Return the design with the least metal added, after islands are removed."""
        return self.legal_many([design])[0]

    def legal_many(self, designs: Sequence[Design]) -> list[Design]:
        """Return `legal` of each design; far cheaper for many at once."""
        if not designs:
            return []
        masks = np.array([design.mask for design in designs], bool)
        posts = [self._posts(design) for design in designs]
        for mask, cells in zip(masks, posts, strict=True):
            mask[tuple(np.transpose(cells))] = True
        if self._connected:
            masks = self._pieces(masks, [cells[0] for cells in posts])
        else:
            connected = _with_neighbours(masks)
            for row, cells in zip(connected, posts, strict=True):
                row[tuple(np.transpose(cells))] = True
            masks = connected
        grown = self._grown(masks)
        # A via on a part that fell away goes with it; metal that grew back does not return it.
        return [
            Design(
                mask=mask.copy(),
                feed=cells[0],
                vias=tuple(via for via in cells[1:] if before[via]),
            )
            for mask, before, cells in zip(grown, masks, posts, strict=True)
        ]

    def _posts(self, design: Design) -> list[Cell]:
        """Return the feed, then the vias beside it."""
        feed = design.feed if self.feed is None else self.feed
        vias = dict.fromkeys(via for via in design.vias if via != feed)
        return [feed, *list(vias)[: self.max_vias]]

    def _pieces(self, masks: Masks, feeds: Sequence[Cell]) -> Masks:
        """Return the piece of metal at each feed, joined to its mirror image where asked for."""
        labels, _ = ndimage.label(masks, structure=_IN_PLANE)
        at_feed = labels[np.arange(len(masks)), *np.transpose(feeds)]
        pieces = np.asarray(labels == at_feed[:, None, None])
        if self._symmetric:
            mirrored = ndimage.binary_dilation(pieces[:, :, ::-1], _IN_PLANE)
            apart = ~(pieces & mirrored).any(axis=(1, 2))
            for number in np.flatnonzero(apart).tolist():
                i, j = feeds[number]
                low, high = sorted((j, self.cells - 1 - j))
                pieces[number, i, low : high + 1] = True
        return pieces

    def _grown(self, masks: Masks) -> Masks:
        """Add metal until all rules hold. Each step only adds, so it ends."""
        while True:
            before = int(masks.sum())
            if self._symmetric:
                masks = masks | masks[:, :, ::-1]
            masks = _filled_corners(masks)
            if self._feature > 1:
                masks = _widened_features(masks, self._feature)
            if int(masks.sum()) == before:
                return masks


def _with_neighbours(masks: Masks) -> Masks:
    """Return the metal cells that have a metal neighbour along an edge."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    neighbours = padded[:, 2:, 1:-1] | padded[:, :-2, 1:-1]
    neighbours |= padded[:, 1:-1, 2:] | padded[:, 1:-1, :-2]
    return np.asarray(masks & neighbours)


def _filled_corners(masks: Masks) -> Masks:
    """Fill one cell of each 2 x 2 block whose metal touches at the corner alone."""
    masks = masks.copy()
    while True:
        a, b = masks[:, :-1, :-1], masks[:, 1:, :-1]
        c, d = masks[:, :-1, 1:], masks[:, 1:, 1:]
        falling, rising = a & d & ~b & ~c, b & c & ~a & ~d
        if not (falling.any() or rising.any()):
            return masks
        masks[:, 1:, :-1] |= falling
        masks[:, :-1, :-1] |= rising


def _widened_features(masks: Masks, width: int) -> Masks:
    """Add a width x width block at each metal cell that no such block of metal covers."""
    covered = ndimage.binary_opening(masks, np.ones((1, width, width), bool))
    result = masks.copy()
    last_x, last_y = masks.shape[1] - width, masks.shape[2] - width
    for k, i, j in np.argwhere(masks & ~covered):
        x, y = min(i, last_x), min(j, last_y)
        result[k, x : x + width, y : y + width] = True
    return result
