"""The image model of EurNet at its published sizes, 29, 50 and 89 million parameters.

Xu et al. (2022), https://arxiv.org/abs/2211.12941; sizes from the released code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from gnn.layers.image_grmp import ImageRelationalMessage, SimilarPatches
from gnn.ranges.grids import NEAREST

PATCH = 4  # pixels a side
EXPANSION = 4


@dataclass(frozen=True, kw_only=True)
class EurNetSize:
    """Width and depth of a model; each stage halves the resolution and doubles the width."""

    width: int
    depths: tuple[int, ...]
    context: tuple[int, ...]
    """Kernels of the context relation."""
    drop_path: float
    """Share of residual branches dropped in the last block, rising linearly from 0."""


SIZES: Mapping[str, EurNetSize] = MappingProxyType(
    {
        "tiny": EurNetSize(width=96, depths=(2, 2, 6, 2), context=(7,), drop_path=0.15),
        "small": EurNetSize(
            width=96, depths=(2, 2, 18, 2), context=(3, 3, 3), drop_path=0.3
        ),
        "base": EurNetSize(
            width=128, depths=(2, 2, 18, 2), context=(3, 5), drop_path=0.5
        ),
    }
)


class ImageBlock(nn.Module):
    """x + DropPath(W_p GRMP(LN x)), then x + DropPath(FFN(LN x)).

    Shapes: x (B, height, width, C), similar (B, N, k) or None; returns the shape of x.
    """

    def __init__(
        self, width: int, *, medium: bool, context: tuple[int, ...], drop: float
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.pass_on = ImageRelationalMessage(width, medium=medium, context=context)
        self.project = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, EXPANSION * width)
        self.down = nn.Linear(EXPANSION * width, width)
        self.drop = drop

    def forward(self, x: Tensor, similar: Tensor | None) -> Tensor:
        """Return the new states."""
        x = x + self._kept(self.project(self.pass_on(self.norm(x), similar)))
        inner = gelu(self.up(self.inner_norm(x)), approximate="tanh")
        return x + self._kept(self.down(inner))

    def _kept(self, branch: Tensor) -> Tensor:
        """Drop the branch of random images while training, and scale the others (DropPath)."""
        if not self.training or self.drop == 0:
            return branch
        keep = 1 - self.drop
        mask = torch.rand(len(branch), 1, 1, 1, device=branch.device) < keep
        return branch * mask / keep


class PatchMerging(nn.Module):
    """Join 2 × 2 patches: 4 C → LN → Linear → 2 C. Shapes: (B, H, W, C) → (B, H/2, W/2, 2 C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the merged patches."""
        parts = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduce(self.norm(torch.cat(parts, dim=-1)))


class ImageEurNet(nn.Module):
    """Stages of blocks over patches; similar patches are chosen once at the start of a stage.

    The first stage has no similar patches. The released code has an embedding of a virtual node
    for each stage, 15 C numbers in all, which no patch ever reads; it is left out.

    Args:
        resolution: pixels a side, a multiple of 32.

    Shapes: images (B, 3, resolution, resolution); returns (B, classes).
    """

    def __init__(
        self,
        size: EurNetSize,
        *,
        classes: int = 1000,
        resolution: int = 224,
        k: int = NEAREST,
    ) -> None:
        super().__init__()
        halvings = 2 ** (len(size.depths) - 1)
        if resolution % (PATCH * halvings):
            raise ValueError(
                f"resolution: expected a multiple of {PATCH * halvings}, got {resolution}"
            )
        side, width = resolution // PATCH, size.width
        self.stem = nn.Conv2d(3, width, PATCH, stride=PATCH)
        self.stem_norm = nn.LayerNorm(width)
        self.position = nn.Parameter(torch.zeros(1, side, side, width))
        self.similar, self.stages = nn.ModuleList(), nn.ModuleList()
        self.merges = nn.ModuleList()
        rate = np.linspace(0, size.drop_path, sum(size.depths)).tolist()
        for stage, depth in enumerate(size.depths):
            medium = stage > 0
            self.similar.append(
                SimilarPatches(side, side, width, k) if medium else nn.Identity()
            )
            drops = [rate.pop(0) for _ in range(depth)]
            self.stages.append(
                nn.ModuleList(
                    ImageBlock(width, medium=medium, context=size.context, drop=drop)
                    for drop in drops
                )
            )
            if stage < len(size.depths) - 1:
                self.merges.append(PatchMerging(width))
                side, width = side // 2, 2 * width
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        x = self.stem(images).permute(0, 2, 3, 1)  # (B, H, W, C)
        x = self.stem_norm(x) + self.position
        for stage, blocks in enumerate(self.stages):
            similar = self.similar[stage](x) if stage > 0 else None
            for block in blocks:
                x = block(x, similar)
            if stage < len(self.merges):
                x = self.merges[stage](x)
        return self.head(self.norm(x).mean(dim=(1, 2)))
