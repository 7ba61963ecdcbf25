"""Array operations that nets are written in, once for numpy (serving) and torch (training).

Arrays are `Array`: numpy's with a tape (`tape.NumpyOps`), or torch's tensors. Beside these
functions they take + − * / @, indexing, `.reshape`, `.sum(axis)` and `.mean(axis)` of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Array = Any
Weights = Mapping[str, Array]


class Ops(Protocol):
    """Operations of one array library. Images are (batch, rows, columns, channels)."""

    def constant(self, value: Any) -> Array:
        """Return an array without gradient; real or complex as the value is."""
        ...

    def conv3(self, x: Array, weight: Array) -> Array:
        """Convolve with a 3 × 3 kernel (3, 3, in, out) over zeros beyond the edge."""
        ...

    def layer_norm(self, x: Array) -> Array:
        """Scale the last axis to mean 0 and variance 1."""
        ...

    def softmax(self, x: Array) -> Array:
        """Return e^x over its sum along the last axis."""
        ...

    def silu(self, x: Array) -> Array:
        """Return x·sigmoid(x)."""
        ...

    def softplus(self, x: Array) -> Array:
        """Return log(1 + e^x)."""
        ...

    def exp(self, x: Array) -> Array:
        """Return e^x."""
        ...

    def log(self, x: Array) -> Array:
        """Return the natural logarithm of positive numbers."""
        ...

    def tanh(self, x: Array) -> Array:
        """Return the hyperbolic tangent."""
        ...

    def complex(self, real: Array, imaginary: Array) -> Array:
        """Return real + j·imaginary."""
        ...

    def solve(self, matrix: Array, right: Array) -> Array:
        """Return X with matrix·X = right; (..., n, n) and (..., n, m)."""
        ...

    def swap(self, x: Array, first: int, second: int) -> Array:
        """Exchange two axes."""
        ...

    def concatenate(self, parts: Sequence[Array], axis: int) -> Array:
        """Join along an axis."""
        ...

    def at_cells(self, x: Array, cells: Array) -> Array:
        """Read an image at cells (batch, feeds, 2): (batch, feeds, channels)."""
        ...
