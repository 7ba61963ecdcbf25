"""Attention of a chunk of the prompt, and what every column drew from it."""

from __future__ import annotations

import torch

from cuda.kernels import reference
from cuda.kernels.colsum import colsum
from cuda.kernels.dispatch import Backend, backend
from cuda.kernels.prefill_attn import check_chunk, prefill_attn


def chunk_attn(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    before: int,
    hidden: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
    pool: int = 1,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend from a chunk of queries to the slots before it and to itself, and sum the columns.

    One call on CPUs; `prefill_attn` and `colsum` on GPUs.

    Args:
        query: [KV, G, T, D] after the rotary embedding.
        keys: [KV, before + T, D]: slots, then the chunk.
        values: [KV, before + T, D].
        before: number of slots; query t sees the columns up to `before` + t.
        hidden: [KV, before + T] bool, columns that no query sees. Each query sees its own.
        weights: [T] float32, how much each query counts in the sums; None: 1.
        pool: odd number of neighbouring columns to average sums over, zeros beyond the ends.

    Returns:
        [KV, G, T, D] in the query's dtype, and [KV, before + T] float32, summed over the group.

    Raises:
        ValueError: a shape does not fit, or `pool` is even.
    """
    check_chunk(query, keys, before, hidden)
    if values.shape != keys.shape:
        raise ValueError(f"values: expected {list(keys.shape)}, got {list(values.shape)}")
    if weights is not None and weights.shape != query.shape[2:3]:
        raise ValueError(
            f"weights: expected [{query.shape[2]}], got {list(weights.shape)}"
        )
    if backend(query) is Backend.NATIVE:
        from cuda.kernels.native.library import chunk_attn as native

        out, sums = native(
            query, keys, values, before=before, hidden=hidden, weights=weights
        )
        return out, reference.pooled(sums, pool)
    out, lse = prefill_attn(query, keys, values, before=before, hidden=hidden)
    sums = colsum(
        query, keys, lse, before=before, hidden=hidden, weights=weights, pool=pool
    )
    return out, sums
