"""Head `modal`: the reduced method of moments, corrected by the net.

With w = f/f_mid, the reduced matrices A(w), V(w) of K modes and their coupling P(w) to the feed,

    Z = V₀₀/(jw) + Pᵀ [jw·A + V/(jw)]⁻¹ P / w² + j·c/w + jw·l,   S11 = (Z − 1)/(Z + 1).

This is cᵀ(jωM − A)⁻¹b, the form from which zeros, poles and constant come, with the metal's own
modes as unknowns. What the modes above K and a finer mesh change is learned: a factor for each
mode's inductance and for both of its losses, a complex one for each coupling, and a resistance, an
inductance and an elastance at the feed. All numbers zero is the reduced model itself.
"""

from __future__ import annotations

import math

import numpy as np

from cost_models.antenna.modes import NODES, Reduced, interpolation
from cost_models.antenna.nets import (
    FEED_NUMBERS,
    LINK_NUMBERS,
    MODE_NUMBERS,
    NetShape,
    trunk,
)
from cost_models.antenna.ops import Array, Ops, Weights
from cost_models.antenna.tape import NumpyOps

# Bounds of the corrections: of logarithms of factors, and of the feed's numbers.
_INDUCTANCE, _LOSS, _COUPLING, _FEED = 0.3, 2.0, 0.5, 0.5
_LEAST_SIZE = 1e-3  # of a coupling, in its logarithm
_FIRST_RESISTANCE = -6.0  # in its softplus


def corrections(
    ops: Ops,
    shape: NetShape,
    weights: Weights,
    metal: Array,
    cells: np.ndarray,
    reduced: Reduced,
    *,
    fine: bool,
) -> tuple[Array, Array, Array]:
    """Return numbers of modes (n, K, 3), of feeds (n, feeds, 3) and of links (n, feeds, K, 2)."""
    features, pooled = trunk(ops, shape, weights, metal)
    n, side, _, width = features.shape
    k, feeds, readout = shape.head.poles, cells.shape[1], shape.readout
    flat = ops.layer_norm(features).reshape(n, side * side, width)

    def last(name: str, inner: Array) -> Array:
        if fine:
            inner = inner + weights[f"fine_{name}_bias"]
        hidden = ops.silu(inner)
        output = hidden @ weights[f"{name}_head"] + weights[f"{name}_head_bias"]
        return output + hidden @ weights[f"fine_{name}_head"] if fine else output

    mode = (
        reduced.electric.reshape(n, k, side * side) @ flat @ weights["mode_electric"]
        + reduced.magnetic.reshape(n, k, side * side) @ flat @ weights["mode_magnetic"]
        + reduced.scalars @ weights["mode_scalars"]
        + (pooled @ weights["mode_pooled"]).reshape(n, 1, readout)
        + weights["mode_bias"]
    )
    mode = ops.silu(mode)
    feed = (
        ops.layer_norm(ops.at_cells(features, cells)) @ weights["feed_local"]
        + reduced.rest @ weights["feed_rest"]
        + weights["feed_bias"]
    )
    link = (
        (mode @ weights["link_mode"]).reshape(n, 1, k, -1)
        + (ops.silu(feed) @ weights["link_feed"]).reshape(n, feeds, 1, -1)
        + _size(ops, reduced).reshape(n, feeds, k, 1) @ weights["link_size"]
        + weights["link_bias"]
    )
    second = mode @ weights["mode_second"] + weights["mode_second_bias"]
    return last("mode", second), last("feed", feed), last("link", link)


def decode(
    ops: Ops,
    half_width: float,
    given: tuple[Array, Array, Array],
    reduced: Reduced,
    x: np.ndarray,
) -> Array:
    """Return S11 (n, feeds, points). x: (n or 1, points). half_width: Δf/f_mid."""
    of_modes, of_feeds, of_links = given
    n, feeds, k = of_links.shape[:3]
    points = x.shape[1]
    w = 1 + half_width * x
    between = interpolation(x)  # (n or 1, points, NODES)
    weigh = ops.constant(between[:, None])
    jw = ops.constant(w[:, :, None, None])
    factor = ops.exp(_bounded(ops, 0.1 * of_modes, _INDUCTANCE))[..., 0:1]
    loss = ops.exp(_bounded(ops, 0.3 * of_modes, _LOSS))
    a_real, a_loss = _matrices(weigh, reduced.inductance, k)
    v_real, v_loss = _matrices(weigh, reduced.elastance, k)
    a_loss = _congruent(_congruent(a_loss, loss[..., 1:2]), factor)
    a_real, v_loss = _congruent(a_real, factor), _congruent(v_loss, loss[..., 2:3])
    matrix = ops.complex(v_loss / jw - jw * a_loss, jw * a_real - v_real / jw)
    change = _bounded(ops, 0.1 * of_links, _COUPLING)
    # (n, feeds, 2, points, K)
    p = ops.constant(between[:, None, None]) @ reduced.coupling.reshape(
        n, feeds, 2, NODES, k
    )
    turned = ops.exp(ops.complex(change[..., 0], change[..., 1])).reshape(n, feeds, 1, k)
    coupling = ops.complex(p[:, :, 0], p[:, :, 1]) * turned
    to_feeds = ops.swap(ops.swap(coupling, 1, 2), 2, 3)  # (n, points, K, feeds)
    seen = (ops.solve(matrix, to_feeds) * to_feeds).sum(2)  # (n, points, feeds)
    z = ops.swap(seen, 1, 2) / ops.constant((w**2 + 0j)[:, None])
    own = weigh @ reduced.port.reshape(n, 2, NODES, 1)  # (n, 2, points, 1)
    own = own.reshape(n, 2, 1, points) / ops.constant(w[:, None, None])
    z = z + ops.complex(own[:, 1], -own[:, 0]) + _at_feed(ops, of_feeds, reduced.rest, w)
    return (z - 1.0) / (z + 1.0)


def uncorrected(reduced: Reduced, half_width: float, x: np.ndarray) -> Array:
    """Return S11 of the reduced models themselves, in numpy, (n, feeds, points)."""
    ops = NumpyOps()
    n, feeds, _, k = reduced.coupling.shape
    sizes = (n, k, MODE_NUMBERS), (n, feeds, FEED_NUMBERS), (n, feeds, k, LINK_NUMBERS)
    modes, ports, links = (ops.constant(np.zeros(size)) for size in sizes)
    return decode(ops, half_width, (modes, ports, links), reduced, x[None])


def _at_feed(ops: Ops, of_feeds: Array, rest: Array, w: np.ndarray) -> Array:
    """Return the modes above K and the feed's corrections as impedances, (n, feeds, points)."""
    at = ops.constant(w[:, None])
    added = _bounded(ops, 0.1 * of_feeds, _FEED)
    # Less at the start than one thousandth of 50 ohm; bounded above.
    resistance = ops.softplus(10.0 * added[..., 0:1] + _FIRST_RESISTANCE)
    reactance = (rest[..., 0:1] + added[..., 1:2]) / at + (
        rest[..., 1:2] + added[..., 2:3]
    ) * at
    return ops.complex(resistance + at * 0.0, reactance)


def _matrices(weigh: Array, parts: Array, k: int) -> tuple[Array, Array]:
    """Return real and imaginary parts at all points, (n, points, K, K)."""
    n, points = parts.shape[0], weigh.shape[2]
    both = weigh @ parts.reshape(n, 2, NODES, k * k)
    split = both.reshape(n, 2, points, k, k)
    return split[:, 0], split[:, 1]


def _congruent(matrix: Array, scale: Array) -> Array:
    """Scale rows and columns, (n, points, K, K) by (n, K, 1)."""
    n, k = scale.shape[0], scale.shape[1]
    return matrix * scale.reshape(n, 1, k, 1) * scale.reshape(n, 1, 1, k)


def _size(ops: Ops, reduced: Reduced) -> Array:
    """Return the logarithm of each coupling's size in the middle of the band."""
    real = reduced.coupling[:, :, NODES // 2]
    return ops.log(real * real + _LEAST_SIZE**2) * (1 / (2 * math.log(1 / _LEAST_SIZE)))


def _bounded(ops: Ops, value: Array, limit: float) -> Array:
    return limit * ops.tanh(value * (1 / limit))
