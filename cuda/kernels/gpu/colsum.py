"""Column sums of a chunk's attention, recomputed from queries, keys and the row log-sum-exp."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def colsum(
    query, keys, lse, weights, hidden, sums, chunk, columns, before, first_query, scale,
    GROUP: tl.constexpr, SIZE: tl.constexpr, SP: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, PRECISION: tl.constexpr,
    HIDDEN: tl.constexpr,
):  # fmt: skip
    """Program (kv, b): key-value head kv, block b of its columns; no values, no outputs.

    Sums over the group and over the queries from `first_query` on, in a fixed order: no atomics.
    """
    kv = tl.program_id(0)
    begin = tl.program_id(1) * BLOCK_K
    c = begin + tl.arange(0, BLOCK_K)
    d = tl.arange(0, SP)
    inside = (c[:, None] < columns) & (d[None, :] < SIZE)
    cell = (kv.to(tl.int64) * columns + c[:, None]) * SIZE + d[None, :]
    k = tl.load(keys + cell, mask=inside, other=0.0)
    total = tl.zeros((BLOCK_K,), tl.float32)
    # Queries before a column do not see it.
    start = tl.maximum(first_query, begin - before) // BLOCK_Q * BLOCK_Q
    for g in range(0, GROUP):
        head = (kv * GROUP + g).to(tl.int64) * chunk
        for first in range(start, chunk, BLOCK_Q):
            t = first + tl.arange(0, BLOCK_Q)
            counted = (t >= first_query) & (t < chunk)
            q = tl.load(
                query + (head + t[:, None]) * SIZE + d[None, :],
                mask=counted[:, None] & (d[None, :] < SIZE),
                other=0.0,
            )
            if PRECISION == "ieee":
                q = q.to(tl.float32)
            norm = tl.load(lse + head + t, mask=counted, other=0.0)
            weight = tl.load(weights + t, mask=counted, other=0.0)
            logit = tl.dot(q, tl.trans(k.to(q.dtype)), input_precision=PRECISION) * scale
            drawn = tl.exp(logit - norm[:, None]) * weight[:, None]
            seen = counted[:, None] & (c[None, :] <= before + t[:, None])
            total += tl.sum(tl.where(seen, drawn, 0.0), 0)
    if HIDDEN:
        gone = tl.load(hidden + kv * columns + c, mask=c < columns, other=1)
        total = tl.where(gone == 0, total, 0.0)
    tl.store(sums + kv * columns + c, total, mask=c < columns)
