"""Image of an antenna: metal and the mesh edges that the method of moments solves for.

Channels: metal, current along x possible (this cell and the next one along x are metal), the same
along y, and metal at the outline. The image holds no coordinates and no feed: the board is endless,
so S11 does not change when metal and feed are moved together, and the feed is where the net's
output is read.
"""

from __future__ import annotations

import numpy as np

from cost_models.antenna.ops import Array, Ops

CHANNELS = 4
Mask = np.ndarray


def image(ops: Ops, metal: Array) -> Array:
    """Return the image of masks, (batch, n, n) in [0, 1] → (batch, n, n, CHANNELS)."""
    beyond_x, before_x = _shifted(ops, metal, 1, 1), _shifted(ops, metal, 1, -1)
    beyond_y, before_y = _shifted(ops, metal, 2, 1), _shifted(ops, metal, 2, -1)
    inner = beyond_x * before_x * beyond_y * before_y
    channels = [metal, metal * beyond_x, metal * beyond_y, metal * (1.0 - inner)]
    batch, rows, columns = metal.shape
    return ops.concatenate(
        [channel.reshape(batch, rows, columns, 1) for channel in channels], 3
    )


def oriented(masks: Mask, cells: np.ndarray, orientation: int) -> tuple[Mask, np.ndarray]:
    """Turn and mirror masks (n, s, s) and cells (n, f, 2): one of the square's 8 symmetries.

    The solver's board has no direction, so S11 stays the same.
    """
    last = masks.shape[1] - 1
    if orientation & 1:
        masks, cells = masks.swapaxes(1, 2), cells[..., ::-1]
    if orientation & 2:
        masks = masks[:, ::-1]
        cells = np.stack([last - cells[..., 0], cells[..., 1]], axis=-1)
    if orientation & 4:
        masks = masks[:, :, ::-1]
        cells = np.stack([cells[..., 0], last - cells[..., 1]], axis=-1)
    return np.ascontiguousarray(masks), np.ascontiguousarray(cells)


def canonical(mask: Mask) -> bytes:
    """Return bytes that are equal for masks equal up to translation and the 8 symmetries."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return b""
    metal = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return min(
        bytes(flipped.shape) + np.packbits(flipped).tobytes()
        for turned in (metal, metal.T)
        for flipped in (turned, turned[::-1], turned[:, ::-1], turned[::-1, ::-1])
    )


def _shifted(ops: Ops, metal: Array, axis: int, step: int) -> Array:
    """Return the neighbour's metal along an axis, air beyond the grid."""
    size = metal.shape[axis]
    inside = [slice(None)] * 3
    inside[axis] = slice(1, size) if step > 0 else slice(0, size - 1)
    edge = [slice(None)] * 3
    edge[axis] = slice(0, 1)
    air = metal[tuple(edge)] * 0.0
    inner = metal[tuple(inside)]
    return ops.concatenate([inner, air] if step > 0 else [air, inner], axis)
