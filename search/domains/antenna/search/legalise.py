"""Rules for legal metal, and the repair that makes any mask obey them.

Legal metal covers the feed and the vias, touches itself along edges only (cells that meet at a
corner alone are open to the method of moments and connected to a finite-difference grid), is
nowhere narrower than the least feature, and has no island of a single cell. On request it is
mirrored about the grid's centre line along x, and one piece.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from search.domains.antenna.design import Design
from solvers.field.board import Mask
from trimtab.specs.antenna import AntennaSpec


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
        feed = design.feed if self.feed is None else self.feed
        vias = tuple(dict.fromkeys(via for via in design.vias if via != feed))[
            : self.max_vias
        ]
        mask = design.mask.copy()
        for post in (feed, *vias):
            mask[post] = True
        if self._connected:
            mask, vias = self._piece_of(mask, feed), vias
            vias = tuple(via for via in vias if mask[via])
        else:
            mask = _without_single_cells(mask, (feed, *vias))
        return Design(mask=self._grown(mask, feed), feed=feed, vias=vias)

    def _piece_of(self, mask: Mask, feed: tuple[int, int]) -> Mask:
        labels, _ = ndimage.label(mask)
        piece = np.asarray(labels == labels[feed])
        if self._symmetric:
            mirrored = piece[:, ::-1]
            if not (piece & _widened(mirrored)).any():
                low, high = sorted((feed[1], self.cells - 1 - feed[1]))
                piece[feed[0], low : high + 1] = True
        return piece

    def _grown(self, mask: Mask, feed: tuple[int, int]) -> Mask:
        """Add metal until all rules hold. Each step only adds, so it ends."""
        while True:
            before = int(mask.sum())
            if self._symmetric:
                mask = mask | mask[:, ::-1]
            mask = _filled_corners(mask)
            if self._feature > 1:
                mask = _widened_features(mask, self._feature)
            if int(mask.sum()) == before:
                return mask


def _without_single_cells(mask: Mask, posts: tuple[tuple[int, int], ...]) -> Mask:
    padded = np.pad(mask, 1)
    neighbours = (
        padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
    )
    result = mask & neighbours
    for post in posts:
        result[post] = True
    return np.asarray(result)


def _widened(mask: Mask) -> Mask:
    return np.asarray(ndimage.binary_dilation(mask))


def _filled_corners(mask: Mask) -> Mask:
    """Fill one cell of each 2 x 2 block whose metal touches at the corner alone."""
    mask = mask.copy()
    while True:
        a, b, c, d = mask[:-1, :-1], mask[1:, :-1], mask[:-1, 1:], mask[1:, 1:]
        falling, rising = a & d & ~b & ~c, b & c & ~a & ~d
        if not (falling | rising).any():
            return mask
        mask[1:, :-1] |= falling
        mask[:-1, :-1] |= rising


def _widened_features(mask: Mask, width: int) -> Mask:
    """Add a width x width block at each metal cell that no such block of metal covers."""
    block = np.ones((width, width), bool)
    covered = ndimage.binary_opening(mask, block)
    result = mask.copy()
    last_x, last_y = mask.shape[0] - width, mask.shape[1] - width
    for i, j in np.argwhere(mask & ~covered):
        x, y = min(i, last_x), min(j, last_y)
        result[x : x + width, y : y + width] = True
    return result
