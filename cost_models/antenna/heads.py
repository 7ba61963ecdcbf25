"""Heads: from the net's numbers to S11 over frequency.

The closed forms are rational in frequency, as S11 of any linear system is (Constant-Zeros-Poles,
arXiv 2301.02747; proof in deploy/docs/design/antenna-surrogate.md). With x = (f − f_mid)/Δf in
[−1, 1] and anchors x_k spread evenly over [−1.1, 1.1]:

- `czp`: log|S11| = c + Σ log|x − z_k| − Σ log|x − p_k|; free zeros and poles, magnitude only.
- `czps`: S11 = c·Π (x − z_k)/(x − p_k) with Im p_k > 0: stable for e^{jωt}.
- `pr`: S11 = d + Σ r_k/(x − p_k) with the same poles.
- `rlc`: S11 = (Z − 1)/(Z + 1) with Z a series of parallel R-L-C circuits, an inductance, a
  capacitance and a resistance, all positive: passive and causal by construction.
- `modal`: S11 of the method of moments reduced to the metal's own modes, whose matrices the net
  corrects; in `modal.py`.
- `direct` and `db`: a value for each frequency of a grid, complex or log-magnitude; not rational.

A pole or zero stays near its anchor, so that no order has to be learned. All heads begin at a flat
curve of |S11| near 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from cost_models.antenna.ops import Array, Ops

_BEYOND = 1.1  # of the band, that anchors reach
_POLE_FLOOR, _POLE_START = 0.004, 0.2  # imaginary part, in units of x
_ZERO_START = 0.15
_MAGNITUDE_FLOOR = 1e-8
_RESIDUE_SCALE = 0.3


class Head(StrEnum):
    """Form of the response."""

    CZP = "czp"
    CZPS = "czps"
    PR = "pr"
    RLC = "rlc"
    MODAL = "modal"
    DIRECT = "direct"
    DB = "db"

    @property
    def magnitude_only(self) -> bool:
        """True where the head gives log|S11| and no phase."""
        return self in (Head.CZP, Head.DB)

    @property
    def rational(self) -> bool:
        """True where the head is a closed form in frequency."""
        return self not in (Head.DIRECT, Head.DB)


@dataclass(frozen=True, kw_only=True)
class HeadShape:
    """A head with its sizes."""

    head: Head
    poles: int = 12
    grid: int = 121  # frequencies of `direct` and `db`, x = −1 … 1
    half_width: float = 0.6  # Δf / f_mid

    @property
    def numbers(self) -> int:
        """Real numbers that the net gives; of all heads but `modal`."""
        k = self.poles
        return {
            Head.CZP: 4 * k + 1,
            Head.CZPS: 4 * k + 2,
            Head.PR: 4 * k + 2,
            Head.RLC: 3 * k + 3,
            Head.DIRECT: 2 * self.grid,
            Head.DB: self.grid,
        }[self.head]

    @property
    def anchors(self) -> np.ndarray:
        """Places in x near which poles and zeros begin, (poles, 1)."""
        return np.linspace(-_BEYOND, _BEYOND, self.poles)[:, None]


def decode(ops: Ops, shape: HeadShape, numbers: Array, x: np.ndarray) -> Array:
    """Return S11 (batch, feeds, points), or log|S11| for a head of the magnitude alone.

    numbers: (batch, feeds, shape.numbers). x: (batch or 1, points), frequencies from −1 to 1.
    """
    return _DECODERS[shape.head](ops, shape, numbers, x)


def _czp(ops: Ops, shape: HeadShape, o: Array, x: np.ndarray) -> Array:
    zr, zi, pr, pi = _columns(o, shape.poles, 4)
    at = ops.constant(x[:, None, None] - shape.anchors)

    def logs(real: Array, imaginary: Array) -> Array:
        square = (at - real) * (at - real) + imaginary * imaginary
        return 0.5 * ops.log(square + _MAGNITUDE_FLOOR)

    total = logs(zr, zi + _ZERO_START) - logs(pr, pi + _POLE_START)
    return total.sum(2) + o[..., 4 * shape.poles :]


def _czps(ops: Ops, shape: HeadShape, o: Array, x: np.ndarray) -> Array:
    zr, zi, pr, pi = _columns(o, shape.poles, 4)
    at = ops.constant(x[:, None, None] - shape.anchors)
    over = ops.complex(at - zr, -(zi + _ZERO_START)) / _from_poles(ops, at, pr, pi)
    product = over[:, :, 0]
    for k in range(1, shape.poles):
        product = product * over[:, :, k]
    k4 = 4 * shape.poles
    return product * ops.complex(o[..., k4 : k4 + 1], o[..., k4 + 1 :] - 1.0)


def _pr(ops: Ops, shape: HeadShape, o: Array, x: np.ndarray) -> Array:
    rr, ri, pr, pi = _columns(o, shape.poles, 4)
    at = ops.constant(x[:, None, None] - shape.anchors)
    residues = ops.complex(_RESIDUE_SCALE * rr, _RESIDUE_SCALE * ri)
    k4 = 4 * shape.poles
    constant = ops.complex(o[..., k4 : k4 + 1] + 0.0, o[..., k4 + 1 :] - 1.0)
    return (residues / _from_poles(ops, at, pr, pi)).sum(2) + constant


def _rlc(ops: Ops, shape: HeadShape, o: Array, x: np.ndarray) -> Array:
    """Series of circuits with resonance w_k, resistance R_k and quality Q_k; w = f / f_mid."""
    a, b, c = _columns(o, shape.poles, 3)
    w = 1 + shape.half_width * x
    low, high = 1 - shape.half_width, 1 + 1.15 * shape.half_width
    anchors = np.linspace(math.log(low), math.log(high), shape.poles)[:, None]
    # Bounded, so that nothing overflows: Q_k from 0.25 to 100, w_k within a factor of 4.5.
    ratio = ops.exp(
        ops.constant(np.log(w)[:, None, None] - anchors) - _bounded(ops, 0.5 * a, 1.5)
    )
    detuned = ops.exp(1.6 + _bounded(ops, c, 3.0)) * (ratio - 1.0 / ratio)
    resistance = ops.softplus(b - 2.5)
    size = 1.0 + detuned * detuned
    k3 = 3 * shape.poles
    e = ops.softplus(o[..., k3:] + ops.constant(np.array([-4.0, -1.0, -1.0])))
    at = ops.constant(w[:, None])
    real = (resistance / size).sum(2) + e[..., 0:1]
    reactance = e[..., 1:2] * at - e[..., 2:3] / at
    imaginary = reactance - (resistance * detuned / size).sum(2)
    # (Z − 1)/(Z + 1) in real arithmetic: |S11| ≤ 1 holds to rounding.
    below = (real + 1.0) * (real + 1.0) + imaginary * imaginary
    above = real * real - 1.0 + imaginary * imaginary
    return ops.complex(above / below, 2.0 * imaginary / below)


def _direct(ops: Ops, shape: HeadShape, o: Array, x: np.ndarray) -> Array:
    between = ops.constant(_interpolation(shape.grid, x))
    real, imaginary = o[..., : shape.grid], o[..., shape.grid :]
    return ops.complex(real @ between, imaginary @ between - 1.0)


def _db(ops: Ops, shape: HeadShape, o: Array, x: np.ndarray) -> Array:
    return o @ ops.constant(_interpolation(shape.grid, x))


_DECODERS: Mapping[Head, Callable[[Ops, HeadShape, Array, np.ndarray], Array]] = (
    MappingProxyType(
        {
            Head.CZP: _czp,
            Head.CZPS: _czps,
            Head.PR: _pr,
            Head.RLC: _rlc,
            Head.DIRECT: _direct,
            Head.DB: _db,
        }
    )
)


def _bounded(ops: Ops, value: Array, limit: float) -> Array:
    return limit * ops.tanh(value * (1 / limit))


def _columns(o: Array, poles: int, count: int) -> list[Array]:
    """Split the first numbers into arrays of shape (batch, feeds, poles, 1)."""
    batch, feeds, _ = o.shape
    return [
        o[..., k * poles : (k + 1) * poles].reshape(batch, feeds, poles, 1)
        for k in range(count)
    ]


def _from_poles(ops: Ops, at: Array, real: Array, imaginary: Array) -> Array:
    """Return x − p with the pole in the upper half plane."""
    start = math.log(math.expm1(_POLE_START))
    height = ops.softplus(imaginary + start) + _POLE_FLOOR
    return ops.complex(at - real, -height)


def _interpolation(grid: int, x: np.ndarray) -> np.ndarray:
    """Return the weights of linear interpolation, (batch, grid, points)."""
    place = np.clip((x + 1) / 2 * (grid - 1), 0, grid - 1)
    nodes = np.arange(grid)[None, :, None]
    return np.maximum(0.0, 1 - np.abs(place[:, None, :] - nodes))
