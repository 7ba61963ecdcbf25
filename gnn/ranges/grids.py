"""Short and medium range on a grid of patches: neighbours by direction, and similar patches."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from gnn.ranges.relations import Builder, Index, Range, Relations, nearest

# Row and column step from sender to receiver: a message "from above" goes down.
DIRECTIONS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "from above": (1, 0),
        "from below": (-1, 0),
        "from the left": (0, 1),
        "from the right": (0, -1),
    }
)
AROUND = tuple(
    (down, right)
    for down in (-1, 0, 1)
    for right in (-1, 0, 1)
    if (down, right) != (0, 0)
)
NEAREST = 12  # of EurNet, at each stage but the first


def steps(height: int, width: int, step: tuple[int, int]) -> tuple[Index, Index]:
    """Return sender and receiver of all edges with one step on a grid, numbered row by row."""
    number = np.arange(height * width).reshape(height, width)
    down, right = step
    source = number[
        max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
    ]
    target = number[
        max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)
    ]
    return source.ravel(), target.ravel()


def position_table(height: int, width: int, columns: int) -> NDArray[np.float64]:
    """Return sine and cosine positions of a grid, (height · width, columns).

    The first half of the columns encodes the row and the second the column, sines before cosines,
    with frequencies 10000^(−2 i / (columns / 2)). Raises ValueError unless 4 divides `columns`.
    """
    if columns % 4:
        raise ValueError(f"columns: expected a multiple of 4, got {columns}")
    quarter = columns // 4
    rate = 10_000.0 ** -(np.arange(quarter) / quarter)
    down, right = np.divmod(np.arange(height * width), width)
    parts = []
    for place in (down, right):
        angle = place[:, None] * rate
        parts += [np.sin(angle), np.cos(angle)]
    return np.concatenate(parts, axis=1)


def image_relations(
    height: int,
    width: int,
    *,
    features: NDArray[np.float64] | None = None,
    k: int = NEAREST,
) -> Relations:
    """Return EurNet's relations of an image: four directions, similar patches, one virtual node.

    Similar patches are the k nearest by the squared distance of normalised features less twice the
    product of the positions over the columns, so that near ones are preferred; neither a patch
    itself nor the eight around it. (Released code.)

    Args:
        features: (height · width, C) of the patches, C a multiple of 4; None without medium range,
            as in the first stage.
    """
    builder = Builder(height * width)
    for name, step in DIRECTIONS.items():
        builder.add(name, Range.SHORT, *steps(height, width, step))
    similar = np.zeros((2, 0), np.int64)
    if features is not None:
        length = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        positions = position_table(height, width, features.shape[1])
        similar = nearest(
            features / length,
            k,
            bonus=2 * positions @ positions.T / features.shape[1],
            excluded=[steps(height, width, step) for step in AROUND],
        )
    builder.add("similar", Range.MEDIUM, *similar)
    builder.add_virtual("image", np.zeros(height * width))
    return builder.build()
