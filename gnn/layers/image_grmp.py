"""GRMP on the patches of images, without edge lists: shifts, gathered neighbours, one mean.

The layer of the image model of EurNet (Xu et al., 2022). Its relations are those of
`gnn.ranges.grids.image_relations`, with the released code's treatment of the virtual node: the
message that it sends is the mean of the messages of all patches, so no node is needed for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

from gnn.layers.grmp import GatedRelationalMessage
from gnn.ranges.grids import AROUND, DIRECTIONS, NEAREST, position_table, steps


class ImageRelationalMessage(GatedRelationalMessage):
    """Relations of an image and a context: depthwise convolutions of the message map.

    With `medium`, relations are the four directions, the similar patches and the image's mean;
    without, the similar patches are left out. The context is one more term of s_i with a weight of
    its own from W_a, and has neither scale nor GELU of U (its convolutions end with a GELU each).

    Args:
        width: C.
        medium: whether similar patches are a relation.
        context: sizes of the kernels, one after another.

    Shapes: x (B, height, width, C), similar (B, N, k) or None; returns the shape of x.
    """

    def __init__(self, width: int, *, medium: bool, context: Sequence[int] = ()) -> None:
        relations = len(DIRECTIONS) + int(medium) + 1
        super().__init__(width, relations)
        self.mix = nn.Linear(width, relations + int(bool(context)))
        self.context = nn.ModuleList(
            nn.Conv2d(width, width, size, padding=size // 2, groups=width, bias=False)
            for size in context
        )

    def forward(self, x: Tensor, similar: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Return o, (B, height, width, C)."""
        message = self.message(x)  # (B, H, W, C)
        means = [_shifted(message, step) for step in DIRECTIONS.values()]
        if similar is not None:
            means.append(_gathered(message, similar))
        means.append(message.mean(dim=(1, 2), keepdim=True).expand_as(message))
        weight = self.mix(x)  # (B, H, W, relations + context)
        mixed = torch.zeros_like(message)
        for r, mean in enumerate(means):
            used = gelu(mean * self.scale[r], approximate="tanh")
            mixed = mixed + weight[..., r : r + 1] * used
        if len(self.context):
            field = message.permute(0, 3, 1, 2)  # (B, C, H, W)
            for convolution in self.context:
                field = gelu(convolution(field), approximate="tanh")
            mixed = mixed + weight[..., -1:] * field.permute(0, 2, 3, 1)
        return self.own(x) * self.gate(mixed)


class SimilarPatches(nn.Module):
    """The k most similar patches of each patch, as `image_relations` defines them; no gradient.

    Shapes: x (B, height, width, C); returns (B, height · width, k), numbers of patches. Fewer than
    k patches outside the neighbourhood of one are an error of the size of the image.
    """

    def __init__(self, height: int, width: int, columns: int, k: int = NEAREST) -> None:
        super().__init__()
        if height * width - 9 < k:
            raise ValueError(
                f"k: expected at most {height * width - 9} for {height} × {width} patches, "
                f"got {k}"
            )
        place = position_table(height, width, columns)
        bonus = 2 * place @ place.T / columns  # (N, N)
        np.fill_diagonal(bonus, -np.inf)
        for step in AROUND:
            bonus[steps(height, width, step)] = -np.inf
        self.k = k
        self.register_buffer("bonus", torch.from_numpy(bonus).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the numbers of the similar patches."""
        with torch.no_grad():
            unit = normalize(x.flatten(1, 2), dim=2)  # (B, N, C)
            # Squared distances of unit vectors are 2 − 2 cos: nearest is greatest.
            near = 2 * unit @ unit.transpose(1, 2) + self.bonus
            chosen: Tensor = near.topk(self.k, dim=2).indices
        return chosen


def _shifted(message: Tensor, step: tuple[int, int]) -> Tensor:
    """Return the message of the neighbour one step away, zero outside the image."""
    down, right = step
    out = torch.zeros_like(message)
    height, width = message.shape[1:3]
    source = message[
        :,
        max(0, -down) : height - max(0, down),
        max(0, -right) : width - max(0, right),
    ]
    out[
        :,
        max(0, down) : height + min(0, down),
        max(0, right) : width + min(0, right),
    ] = source
    return out


def _gathered(message: Tensor, similar: Tensor) -> Tensor:
    """Return the mean message of the similar patches."""
    flat = message.flatten(1, 2)  # (B, N, C)
    batch = torch.arange(len(flat), device=flat.device)[:, None, None]
    return flat[batch, similar].mean(dim=2).view_as(message)
