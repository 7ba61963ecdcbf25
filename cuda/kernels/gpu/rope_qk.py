"""Rotary embedding of queries and keys in place."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def rope_qk(mixed, cosine, sine, heads, turned, HALF: tl.constexpr, BLOCK: tl.constexpr):
    """Program (r, h): head h < turned of row r of mixed [rows, heads, 2 HALF]."""
    r = tl.program_id(0).to(tl.int64)
    h = tl.program_id(1)
    i = tl.arange(0, BLOCK)
    inside = i < HALF
    at = mixed + (r * heads + h) * 2 * HALF + i
    a = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(at + HALF, mask=inside, other=0.0).to(tl.float32)
    c = tl.load(cosine + r * HALF + i, mask=inside, other=0.0)
    s = tl.load(sine + r * HALF + i, mask=inside, other=0.0)
    tl.store(at, (a * c - b * s).to(mixed.dtype.element_ty), mask=inside)
    tl.store(at + HALF, (b * c + a * s).to(mixed.dtype.element_ty), mask=inside)
