"""Root-mean-square norm of rows."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def rmsnorm(x, weight, out, width, eps, BLOCK: tl.constexpr):
    """Program r: row r of x [rows, width]; BLOCK covers the width."""
    r = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK)
    value = tl.load(x + r * width + i, mask=i < width, other=0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(value * value, 0) / width + eps)
    w = tl.load(weight + i, mask=i < width, other=0.0).to(tl.float32)
    tl.store(
        out + r * width + i, (value * scale * w).to(out.dtype.element_ty), mask=i < width
    )
