"""Attention of a chunk of the prompt over slots and itself, with the row log-sum-exp."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def prefill_attn(
    query, keys, values, hidden, out, lse, chunk, columns, before, scale,
    GROUP: tl.constexpr, SIZE: tl.constexpr, SP: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, PRECISION: tl.constexpr,
    HIDDEN: tl.constexpr,
):  # fmt: skip
    """Program (h, b): query head h, block b of the chunk's queries.

    Query t sees the columns up to before + t that are not hidden.
    """
    h = tl.program_id(0)
    kv = h // GROUP
    t = tl.program_id(1) * BLOCK_Q + tl.arange(0, BLOCK_Q)
    d = tl.arange(0, SP)
    asked = (t[:, None] < chunk) & (d[None, :] < SIZE)
    at = (h.to(tl.int64) * chunk + t[:, None]) * SIZE + d[None, :]
    q = tl.load(query + at, mask=asked, other=0.0)
    if PRECISION == "ieee":
        q = q.to(tl.float32)
    most = tl.full((BLOCK_Q,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_Q,), tl.float32)
    mixed = tl.zeros((BLOCK_Q, SP), tl.float32)
    end = tl.minimum(columns, before + (tl.program_id(1) + 1) * BLOCK_Q)
    for first in range(0, end, BLOCK_K):
        c = first + tl.arange(0, BLOCK_K)
        inside = (c[:, None] < columns) & (d[None, :] < SIZE)
        cell = (kv.to(tl.int64) * columns + c[:, None]) * SIZE + d[None, :]
        k = tl.load(keys + cell, mask=inside, other=0.0).to(q.dtype)
        logit = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
        seen = (c[None, :] <= before + t[:, None]) & (c[None, :] < columns)
        if HIDDEN:
            gone = tl.load(hidden + kv * columns + c, mask=c < columns, other=1)
            seen = seen & (gone[None, :] == 0)
        logit = tl.where(seen, logit, float("-inf"))
        higher = tl.maximum(most, tl.max(logit, 1))
        # A row that has seen nothing yet keeps zeros instead of NaN.
        base = tl.where(higher == float("-inf"), 0.0, higher)
        shrink = tl.exp(most - base)
        weight = tl.exp(logit - base[:, None])
        total = total * shrink + tl.sum(weight, 1)
        v = tl.load(values + cell, mask=inside, other=0.0).to(q.dtype)
        mixed = mixed * shrink[:, None]
        mixed += tl.dot(weight.to(q.dtype), v, input_precision=PRECISION)
        most = higher
    tl.store(out + at, (mixed / total[:, None]).to(out.dtype.element_ty), mask=asked)
    tl.store(lse + h.to(tl.int64) * chunk + t, most + tl.log(total), mask=t < chunk)
