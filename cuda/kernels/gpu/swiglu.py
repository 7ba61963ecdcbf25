"""Gated feed-forward: silu(gate) * up."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def swiglu(gate_up, out, width, BLOCK: tl.constexpr):
    """Program (r, b): block b of row r of gate_up [rows, 2 width]."""
    r = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = i < width
    gate = tl.load(gate_up + r * 2 * width + i, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + r * 2 * width + width + i, mask=inside, other=0.0)
    turned = gate * tl.sigmoid(gate) * up.to(tl.float32)
    tl.store(out + r * width + i, turned.to(out.dtype.element_ty), mask=inside)
