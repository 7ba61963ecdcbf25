"""Gated feed-forward: silu(gate) * up."""

from __future__ import annotations

import torch

from cuda.kernels import reference
from cuda.kernels.dispatch import Backend, backend
from cuda.kernels.shapes import blocks, padded

BLOCK = 1024


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """Return silu(gate) * up, [rows, width], for gate_up [rows, 2 width]; float32 inside.

    Raises:
        ValueError: the last size is odd.
    """
    if gate_up.ndim != 2 or gate_up.shape[1] % 2:
        raise ValueError(f"gate_up: expected [rows, 2 width], got {list(gate_up.shape)}")
    if backend(gate_up) is not Backend.TRITON:
        return reference.swiglu(gate_up)
    from cuda.kernels.gpu.swiglu import swiglu as kernel

    gate_up, width = gate_up.contiguous(), gate_up.shape[1] // 2
    out = torch.empty(len(gate_up), width, dtype=gate_up.dtype, device=gate_up.device)
    block = min(BLOCK, padded(width))
    kernel[(len(gate_up), blocks(width, block))](
        gate_up, out, width, BLOCK=block, num_warps=4
    )
    return out
