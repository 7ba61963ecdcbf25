"""`cost_models.antenna.ops.Ops` on torch tensors, for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


class TorchOps:
    """Operations on tensors; see `Ops` for shapes."""

    def constant(self, value: Any) -> Tensor:
        """Return a tensor without gradient, in single precision."""
        if isinstance(value, Tensor):
            return value
        array = np.asarray(value)
        kind = np.complex64 if np.iscomplexobj(array) else np.float32
        return torch.from_numpy(np.ascontiguousarray(array, kind))

    def conv3(self, x: Tensor, weight: Tensor) -> Tensor:
        """Convolve with zeros beyond the edge."""
        channels_first = x.permute(0, 3, 1, 2)
        kernel = weight.permute(3, 2, 0, 1)
        return functional.conv2d(channels_first, kernel, padding=1).permute(0, 2, 3, 1)

    def layer_norm(self, x: Tensor) -> Tensor:
        """Scale the last axis to mean 0 and variance 1."""
        return functional.layer_norm(x, x.shape[-1:])

    def softmax(self, x: Tensor) -> Tensor:
        """Return e^x over its sum along the last axis."""
        return torch.softmax(x, dim=-1)

    def silu(self, x: Tensor) -> Tensor:
        """Return x·sigmoid(x)."""
        return functional.silu(x)

    def softplus(self, x: Tensor) -> Tensor:
        """Return log(1 + e^x)."""
        return functional.softplus(x)

    def exp(self, x: Tensor) -> Tensor:
        """Return e^x."""
        return torch.exp(x)

    def log(self, x: Tensor) -> Tensor:
        """Return the natural logarithm."""
        return torch.log(x)

    def tanh(self, x: Tensor) -> Tensor:
        """Return the hyperbolic tangent."""
        return torch.tanh(x)

    def complex(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Return real + j·imaginary."""
        return torch.complex(*torch.broadcast_tensors(real, imaginary))

    def solve(self, matrix: Tensor, right: Tensor) -> Tensor:
        """Return X with matrix·X = right."""
        return torch.linalg.solve(matrix, right)

    def swap(self, x: Tensor, first: int, second: int) -> Tensor:
        """Exchange two axes."""
        return x.transpose(first, second)

    def concatenate(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Join along an axis."""
        return torch.cat(list(parts), dim=axis)

    def at_cells(self, x: Tensor, cells: Any) -> Tensor:
        """Read an image at cells."""
        at = torch.as_tensor(np.asarray(cells, np.int64))
        return x[torch.arange(len(at))[:, None], at[..., 0], at[..., 1]]
