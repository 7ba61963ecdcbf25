"""Reverse-mode differentiation of numpy arrays, as far as the surrogate needs it.

`Node` records how it was computed; `gradients` walks back from a real scalar. The gradient of a
complex array z is ∂L/∂Re z + j·∂L/∂Im z, so a holomorphic y = f(z) gives ḡ_z = ḡ_y·conj(f′(z)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Vjp = Callable[[np.ndarray], np.ndarray]


class Node:
    """An array with the operations that made it."""

    __array_ufunc__ = None  # numpy defers to the operators below

    def __init__(
        self, value: np.ndarray, parents: Sequence[tuple[Node, Vjp]] = ()
    ) -> None:
        self.value = value
        self.parents = parents

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(self.value.shape)

    def __add__(self, other: Any) -> Node:
        b = _node(other)
        return Node(
            self.value + b.value,
            ((self, lambda g: _like(g, self.value)), (b, lambda g: _like(g, b.value))),
        )

    __radd__ = __add__

    def __neg__(self) -> Node:
        return Node(-self.value, ((self, lambda g: -g),))

    def __sub__(self, other: Any) -> Node:
        return self + (-_node(other))

    def __rsub__(self, other: Any) -> Node:
        return (-self) + other

    def __mul__(self, other: Any) -> Node:
        b = _node(other)
        return Node(
            self.value * b.value,
            (
                (self, lambda g: _like(g * np.conj(b.value), self.value)),
                (b, lambda g: _like(g * np.conj(self.value), b.value)),
            ),
        )

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Node:
        b = _node(other)
        value = self.value / b.value
        return Node(
            value,
            (
                (self, lambda g: _like(g / np.conj(b.value), self.value)),
                (b, lambda g: _like(-g * np.conj(value / b.value), b.value)),
            ),
        )

    def __rtruediv__(self, other: Any) -> Node:
        return _node(other) / self

    def __matmul__(self, other: Any) -> Node:
        b = _node(other)
        return Node(
            self.value @ b.value,
            (
                (self, lambda g: _like(g @ _transposed(b.value), self.value)),
                (b, lambda g: _matmul_right(self.value, g, b.value)),
            ),
        )

    def __getitem__(self, key: Any) -> Node:
        def back(g: np.ndarray) -> np.ndarray:
            full = np.zeros_like(self.value, dtype=g.dtype)
            if _is_view(key):
                full[key] = g
            else:
                np.add.at(full, key, g)
            return full

        return Node(self.value[key], ((self, back),))

    def reshape(self, *shape: int) -> Node:
        """Return the array in another shape."""
        return Node(self.value.reshape(shape), ((self, lambda g: g.reshape(self.shape)),))

    def sum(self, axis: int | tuple[int, ...] | None = None) -> Node:
        """Sum over axes, all by default."""

        def back(g: np.ndarray) -> np.ndarray:
            if axis is not None:
                g = np.expand_dims(g, axis)
            return np.broadcast_to(g, self.shape)

        return Node(np.asarray(self.value.sum(axis=axis)), ((self, back),))

    def mean(self, axis: int | tuple[int, ...] | None = None) -> Node:
        """Average over axes, all by default."""
        total = self.sum(axis)
        return total * (total.value.size / max(1, self.value.size))


class NumpyOps:
    """`ops.Ops` on nodes."""

    def constant(self, value: Any) -> Node:
        """Return a node without parents, in single precision."""
        array = np.asarray(value)
        kind = np.complex64 if np.iscomplexobj(array) else np.float32
        return Node(array.astype(kind))

    def conv3(self, x: Node, weight: Node) -> Node:
        """Convolve by one matrix product over all 3 × 3 neighbourhoods."""
        batch, rows, columns, channels = x.shape
        flat = weight.value.reshape(9 * channels, -1)
        patches = _patches(x.value)

        def to_x(g: np.ndarray) -> np.ndarray:
            # The transpose of a convolution is one with the kernel turned by 180 degrees.
            turned = np.ascontiguousarray(weight.value[::-1, ::-1].transpose(0, 1, 3, 2))
            product = _patches(g) @ turned.reshape(-1, channels)
            return product.reshape(x.shape)

        def to_weight(g: np.ndarray) -> np.ndarray:
            return (patches.T @ g.reshape(len(patches), -1)).reshape(weight.shape)

        value = (patches @ flat).reshape(batch, rows, columns, -1)
        return Node(value, ((x, to_x), (weight, to_weight)))

    def layer_norm(self, x: Node) -> Node:
        """Scale the last axis to mean 0 and variance 1."""
        centred = x.value - x.value.mean(axis=-1, keepdims=True)
        scale = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
        value = centred * scale

        def back(g: np.ndarray) -> np.ndarray:
            mean = g.mean(axis=-1, keepdims=True)
            along = (g * value).mean(axis=-1, keepdims=True)
            return scale * (g - mean - value * along)

        return Node(value, ((x, back),))

    def softmax(self, x: Node) -> Node:
        """Return e^x over its sum along the last axis."""
        raised = np.exp(x.value - x.value.max(axis=-1, keepdims=True))
        value = raised / raised.sum(axis=-1, keepdims=True)

        def back(g: np.ndarray) -> np.ndarray:
            return value * (g - (g * value).sum(axis=-1, keepdims=True))

        return Node(value, ((x, back),))

    def silu(self, x: Node) -> Node:
        """Return x·sigmoid(x)."""
        sigmoid = _sigmoid(x.value)
        value = x.value * sigmoid
        return Node(value, ((x, lambda g: g * (sigmoid + value * (1 - sigmoid))),))

    def softplus(self, x: Node) -> Node:
        """Return log(1 + e^x)."""
        value = np.logaddexp(x.value, np.float32(0))
        return Node(value, ((x, lambda g: g * _sigmoid(x.value)),))

    def exp(self, x: Node) -> Node:
        """Return e^x."""
        value = np.exp(x.value)
        return Node(value, ((x, lambda g: g * value),))

    def log(self, x: Node) -> Node:
        """Return the natural logarithm of positive numbers."""
        return Node(np.log(x.value), ((x, lambda g: g / x.value),))

    def tanh(self, x: Node) -> Node:
        """Return the hyperbolic tangent."""
        value = np.tanh(x.value)
        return Node(value, ((x, lambda g: g * (1 - value**2)),))

    def complex(self, real: Node, imaginary: Node) -> Node:
        """Return real + j·imaginary."""
        a, b = _node(real), _node(imaginary)
        return Node(
            a.value + 1j * b.value,
            (
                (a, lambda g: _like(g.real, a.value)),
                (b, lambda g: _like(g.imag, b.value)),
            ),
        )

    def solve(self, matrix: Node, right: Node) -> Node:
        """Return X with matrix·X = right."""
        value = np.linalg.solve(matrix.value, right.value)

        def adjoint(g: np.ndarray) -> np.ndarray:
            return np.asarray(np.linalg.solve(_transposed(matrix.value), g))

        return Node(
            value,
            (
                (matrix, lambda g: _like(-adjoint(g) @ _transposed(value), matrix.value)),
                (right, lambda g: _like(adjoint(g), right.value)),
            ),
        )

    def swap(self, x: Node, first: int, second: int) -> Node:
        """Exchange two axes."""
        return Node(
            np.swapaxes(x.value, first, second),
            ((x, lambda g: np.swapaxes(g, first, second)),),
        )

    def concatenate(self, parts: Sequence[Node], axis: int) -> Node:
        """Join along an axis."""
        ends = np.cumsum([0, *(part.shape[axis] for part in parts)])

        def back(number: int) -> Vjp:
            def take(g: np.ndarray) -> np.ndarray:
                return np.take(g, range(ends[number], ends[number + 1]), axis=axis)

            return take

        value = np.concatenate([part.value for part in parts], axis=axis)
        return Node(value, [(part, back(k)) for k, part in enumerate(parts)])

    def at_cells(self, x: Node, cells: np.ndarray) -> Node:
        """Read an image at cells (batch, feeds, 2): (batch, feeds, channels)."""
        return x[np.arange(len(cells))[:, None], cells[..., 0], cells[..., 1]]


def gradients(loss: Node, wanted: Sequence[Node]) -> list[np.ndarray]:
    """Return ∂loss/∂node for each wanted node; zeros where the loss does not depend on it."""
    order: list[Node] = []
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(loss, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(parent, False) for parent, _ in node.parents]
    collected: dict[int, np.ndarray] = {id(loss): np.ones_like(loss.value)}
    keep = {id(node) for node in wanted}
    needed: set[int] = set()
    for node in order:
        if id(node) in keep or any(id(parent) in needed for parent, _ in node.parents):
            needed.add(id(node))
    for node in reversed(order):
        gradient = (
            collected.get(id(node)) if id(node) in keep else collected.pop(id(node), None)
        )
        if gradient is None:
            continue
        for parent, vjp in node.parents:
            if id(parent) not in needed:
                continue
            part = vjp(gradient)
            if not np.iscomplexobj(parent.value) and np.iscomplexobj(part):
                part = part.real
            before = collected.get(id(parent))
            collected[id(parent)] = part if before is None else before + part
    return [collected.get(id(node), np.zeros_like(node.value)) for node in wanted]


def _node(value: Any) -> Node:
    if isinstance(value, Node):
        return value
    array = np.asarray(value)
    kind = np.complex64 if np.iscomplexobj(array) else np.float32
    return Node(array.astype(kind))


def _like(gradient: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Sum the gradient over axes along which `value` was broadcast."""
    extra = gradient.ndim - value.ndim
    if extra:
        gradient = gradient.sum(axis=tuple(range(extra)))
    axes = tuple(
        axis
        for axis, size in enumerate(value.shape)
        if size == 1 and gradient.shape[axis] != 1
    )
    if axes:
        gradient = gradient.sum(axis=axes, keepdims=True)
    if np.iscomplexobj(gradient) and not np.iscomplexobj(value):
        gradient = gradient.real
    return np.asarray(gradient)


def _transposed(matrix: np.ndarray) -> np.ndarray:
    return np.conj(np.swapaxes(matrix, -1, -2))


def _matmul_right(a: np.ndarray, g: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Gradient of the right factor; a product of flat matrices when it was broadcast."""
    if b.ndim == 2 and a.ndim > 2:
        flat = a.reshape(-1, a.shape[-1])
        return np.asarray(np.conj(flat).T @ g.reshape(-1, g.shape[-1]))
    return _like(_transposed(a) @ g, b)


def _is_view(key: Any) -> bool:
    """Return whether the key names each element once at most."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(isinstance(part, slice | int) or part is Ellipsis for part in parts)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _patches(image: np.ndarray) -> np.ndarray:
    """Return the 3 × 3 neighbourhoods of all cells, (batch·rows·columns, 9·channels)."""
    batch, rows, columns, channels = image.shape
    padded = np.zeros((batch, rows + 2, columns + 2, channels), image.dtype)
    padded[:, 1:-1, 1:-1] = image
    strides = padded.strides
    # The three columns of a neighbourhood lie side by side: 3 copies of 3·channels a cell.
    windows = np.lib.stride_tricks.as_strided(
        padded,
        (batch, rows, columns, 3, 3 * channels),
        (strides[0], strides[1], strides[2], strides[1], strides[3]),
    )
    return np.ascontiguousarray(windows).reshape(-1, 9 * channels)
