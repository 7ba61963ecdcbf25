"""Root-mean-square norm of rows."""

from __future__ import annotations

import torch

from cuda.kernels import reference
from cuda.kernels.dispatch import Backend, backend
from cuda.kernels.shapes import padded


def rmsnorm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """Return x / sqrt(mean(x²) + eps) * weight, [rows, width] in x's dtype, computed in float32.

    Raises:
        ValueError: the weight does not fit.
    """
    if x.ndim != 2 or weight.shape != x.shape[1:]:
        raise ValueError(
            f"weight: expected [width] of x [rows, width], got {list(weight.shape)} for "
            f"{list(x.shape)}"
        )
    if backend(x) is not Backend.TRITON:
        return reference.rmsnorm(x, weight, eps)
    from cuda.kernels.gpu.rmsnorm import rmsnorm as kernel

    x, out = x.contiguous(), torch.empty(x.shape, dtype=x.dtype, device=x.device)
    block = padded(x.shape[1])
    kernel[(len(x),)](
        x, weight.contiguous(), out, x.shape[1], eps, BLOCK=block,
        num_warps=max(1, min(8, block // 512)),
    )  # fmt: skip
    return out
