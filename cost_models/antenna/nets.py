"""Nets: a trunk that reads the image, and the numbers of a head read at the feeds.

The trunk does not know the feed. One pass over the metal serves all feeds of a design: the poles of
the impedance belong to the metal, the feed only decides how strongly it excites them.

- `cnn`: residual blocks of two 3 × 3 convolutions, with the mean over the image fed back.
- `attention`: pre-norm transformer on one token a cell, with a bias for the relative position
  (Vaswani et al., 2017; Shaw et al., 2018).
- `mlp`: residual layers on the flat image; the feed is an embedding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cost_models.antenna.cavity import NUMBERS as CAVITY_NUMBERS
from cost_models.antenna.heads import Head, HeadShape
from cost_models.antenna.image import CHANNELS, image
from cost_models.antenna.modes import SCALARS
from cost_models.antenna.ops import Array, Ops, Weights

# Of head `modal`: corrections of each mode, of each feed, and of the coupling between both.
MODE_NUMBERS, FEED_NUMBERS, LINK_NUMBERS = 3, 3, 2
LINK = 48  # width of the layer before the last
_LAST_SCALE = 0.1
_ATTENTION_HEADS = 4


class Trunk(StrEnum):
    """Part of the net that reads the image."""

    CNN = "cnn"
    ATTENTION = "attention"
    MLP = "mlp"


@dataclass(frozen=True, kw_only=True)
class NetShape:
    """Sizes of a net."""

    trunk: Trunk
    head: HeadShape
    width: int
    depth: int  # blocks
    readout: int = 256  # width of the layer between trunk and head
    cells: int = 12
    cavity: bool = True  # read the cavity model's response beside the image


def numbers(
    ops: Ops,
    shape: NetShape,
    weights: Weights,
    metal: Array,
    cells: np.ndarray,
    cavity: Array | None,
    *,
    fine: bool = False,
) -> Array:
    """Return the head's numbers, (batch, feeds, numbers).

    metal: (batch, n, n) in [0, 1]. cells: (batch, feeds, 2) integers. cavity: features of the
    cavity model (batch, feeds, cavity.NUMBERS), None for a net without. fine: as the fine mesh
    gives them; a layer beside the coarse one learns the difference.
    """
    batch, (features, pooled) = metal.shape[0], trunk(ops, shape, weights, metal)
    at_feed = ops.at_cells(features, cells)
    common = pooled @ weights["readout_pooled"]
    local = ops.layer_norm(at_feed) @ weights["readout_feed"]
    inner = local + common.reshape(batch, 1, shape.readout) + weights["readout_bias"]
    if cavity is not None:
        modes = ops.silu(cavity @ weights["cavity"] + weights["cavity_bias"])
        inner = inner + modes @ weights["readout_cavity"]
    if fine:
        inner = inner + weights["fine_bias"]
    hidden = ops.silu(inner)
    output = hidden @ weights["head"] + weights["head_bias"]
    return output + hidden @ weights["fine_head"] if fine else output


def trunk(
    ops: Ops, shape: NetShape, weights: Weights, metal: Array
) -> tuple[Array, Array]:
    """Return features of each cell (batch, n, n, width), and their mean over the metal."""
    picture = image(ops, metal)
    if shape.trunk is Trunk.CNN:
        features = _cnn(ops, shape, weights, picture)
    elif shape.trunk is Trunk.ATTENTION:
        features = _attention(ops, shape, weights, picture)
    else:
        features = _mlp(ops, shape, weights, picture)
    batch = metal.shape[0]
    share = metal.reshape(batch, metal.shape[1], metal.shape[2], 1)
    total = metal.sum((1, 2)).reshape(batch, 1) + 1.0
    return features, (features * share).sum((1, 2)) / total


def _cnn(ops: Ops, shape: NetShape, weights: Weights, picture: Array) -> Array:
    h = ops.conv3(picture, weights["stem"]) + weights["stem_bias"]
    for k in range(shape.depth):
        normed = ops.layer_norm(h)
        over_all = normed.mean((1, 2)) @ weights[f"global_{k}"]
        inner = ops.conv3(normed, weights[f"first_{k}"]) + weights[f"first_bias_{k}"]
        inner = inner + over_all.reshape(h.shape[0], 1, 1, shape.width)
        h = h + ops.conv3(ops.silu(inner), weights[f"second_{k}"])
    return h


def _attention(ops: Ops, shape: NetShape, weights: Weights, picture: Array) -> Array:
    batch, n, columns, _ = picture.shape
    width, heads = shape.width, _ATTENTION_HEADS
    tokens, each = n * columns, shape.width // _ATTENTION_HEADS
    h = ops.conv3(picture, weights["stem"]) + weights["stem_bias"]
    h = h.reshape(batch, tokens, width)
    offsets = relative_offsets(n, columns, shape.cells)
    for k in range(shape.depth):
        normed = ops.layer_norm(h)
        query, key, value = (
            ops.swap(
                (normed @ weights[f"{name}_{k}"]).reshape(batch, tokens, heads, each),
                1,
                2,
            )
            for name in ("query", "key", "value")
        )
        bias = weights[f"position_{k}"][:, offsets]
        scores = query @ ops.swap(key, 2, 3) * (1 / math.sqrt(each)) + bias
        mixed = ops.swap(ops.softmax(scores) @ value, 1, 2).reshape(batch, tokens, width)
        h = h + mixed @ weights[f"mix_{k}"]
        inner = ops.layer_norm(h) @ weights[f"first_{k}"] + weights[f"first_bias_{k}"]
        h = h + ops.silu(inner) @ weights[f"second_{k}"]
    return h.reshape(batch, n, columns, width)


def _mlp(ops: Ops, shape: NetShape, weights: Weights, picture: Array) -> Array:
    batch, n, columns, _ = picture.shape
    flat = picture.reshape(batch, n * columns * CHANNELS)
    h = ops.silu(flat @ weights["stem"] + weights["stem_bias"])
    for k in range(shape.depth):
        inner = ops.layer_norm(h) @ weights[f"first_{k}"] + weights[f"first_bias_{k}"]
        h = h + ops.silu(inner)
    of_cell = weights["cells"].reshape(1, n, columns, shape.width)
    return h.reshape(batch, 1, 1, shape.width) + of_cell


def modal_weights(width: int, readout: int) -> list[tuple[str, tuple[int, ...], float]]:
    """Return names, sizes and scales of the weights of head `modal`; scale 0 is zeros."""
    made: list[tuple[str, tuple[int, ...], float]] = [
        ("mode_electric", (width, readout), 1.0),
        ("mode_magnetic", (width, readout), 1.0),
        ("mode_scalars", (SCALARS, readout), 0.5),
        ("mode_pooled", (width, readout), 1.0),
        ("mode_bias", (readout,), 0.0),
        ("mode_second", (readout, readout), 0.5),
        ("mode_second_bias", (readout,), 0.0),
        ("feed_local", (width, readout), 1.0),
        ("feed_rest", (2, readout), 1.0),
        ("feed_bias", (readout,), 0.0),
        ("link_mode", (readout, LINK), 1.0),
        ("link_feed", (readout, LINK), 1.0),
        ("link_size", (1, LINK), 1.0),
        ("link_bias", (LINK,), 0.0),
    ]
    for name, size, count in (
        ("mode", readout, MODE_NUMBERS),
        ("feed", readout, FEED_NUMBERS),
        ("link", LINK, LINK_NUMBERS),
    ):
        made += [
            (f"{name}_head", (size, count), _LAST_SCALE),
            (f"{name}_head_bias", (count,), 0.0),
            (f"fine_{name}_head", (size, count), 0.0),
            (f"fine_{name}_bias", (size,), 0.0),
        ]
    return made


def relative_offsets(rows: int, columns: int, cells: int) -> np.ndarray:
    """Return the number of the relative position of each pair of cells, (tokens, tokens)."""
    i, j = (axis.ravel() for axis in np.indices((rows, columns)))
    di, dj = i[:, None] - i[None] + cells - 1, j[:, None] - j[None] + cells - 1
    return di * (2 * cells - 1) + dj


def initial_weights(shape: NetShape, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return random weights: normal with variance 1/fan-in, residual branches small."""
    width, depth = shape.width, shape.depth
    made: dict[str, np.ndarray] = {}

    def matrix(name: str, *sizes: int, scale: float = 1.0) -> None:
        fan_in = math.prod(sizes[:-1])
        made[name] = rng.normal(0, scale / math.sqrt(fan_in), sizes).astype(np.float32)

    def zeros(name: str, *sizes: int) -> None:
        made[name] = np.zeros(sizes, np.float32)

    if shape.trunk is Trunk.MLP:
        matrix("stem", shape.cells**2 * CHANNELS, width, scale=2.0)
        matrix("cells", shape.cells**2, width, scale=float(shape.cells))
    else:
        matrix("stem", 3, 3, CHANNELS, width, scale=2.0)
    zeros("stem_bias", width)
    residual = 0.5 / math.sqrt(max(1, depth))
    for k in range(depth):
        if shape.trunk is Trunk.CNN:
            matrix(f"first_{k}", 3, 3, width, width)
            matrix(f"second_{k}", 3, 3, width, width, scale=residual)
            matrix(f"global_{k}", width, width)
            zeros(f"first_bias_{k}", width)
        elif shape.trunk is Trunk.ATTENTION:
            for name in ("query", "key", "value"):
                matrix(f"{name}_{k}", width, width)
            zeros(f"position_{k}", _ATTENTION_HEADS, (2 * shape.cells - 1) ** 2)
            matrix(f"mix_{k}", width, width, scale=residual)
            matrix(f"first_{k}", width, 2 * width)
            zeros(f"first_bias_{k}", 2 * width)
            matrix(f"second_{k}", 2 * width, width, scale=residual)
        else:
            matrix(f"first_{k}", width, width)
            zeros(f"first_bias_{k}", width)
    if shape.head.head is Head.MODAL:
        for name, sizes, scale in modal_weights(width, shape.readout):
            if scale:
                matrix(name, *sizes, scale=scale)
            else:
                zeros(name, *sizes)
        return made
    matrix("readout_feed", width, shape.readout)
    matrix("readout_pooled", width, shape.readout)
    zeros("readout_bias", shape.readout)
    if shape.cavity:
        matrix("cavity", CAVITY_NUMBERS, shape.readout)
        zeros("cavity_bias", shape.readout)
        matrix("readout_cavity", shape.readout, shape.readout)
    matrix("head", shape.readout, shape.head.numbers, scale=_LAST_SCALE)
    zeros("head_bias", shape.head.numbers)
    zeros("fine_bias", shape.readout)
    zeros("fine_head", shape.readout, shape.head.numbers)
    return made


def weight_count(weights: Weights) -> int:
    """Return the number of weights."""
    return sum(math.prod(array.shape) for array in weights.values())
