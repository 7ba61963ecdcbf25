"""Column sums of a chunk's attention: what every token drew, without the attention matrix."""

from __future__ import annotations

import torch

from cuda.kernels import reference
from cuda.kernels.dispatch import Backend, backend
from cuda.kernels.prefill_attn import check_chunk, mask_of
from cuda.kernels.shapes import blocks, padded, precision

BLOCK_Q, BLOCK_K = 32, 64


def colsum(
    query: torch.Tensor,
    keys: torch.Tensor,
    lse: torch.Tensor,
    *,
    before: int,
    weights: torch.Tensor | None = None,
    hidden: torch.Tensor | None = None,
    pool: int = 1,
    first_query: int = 0,
) -> torch.Tensor:
    """Sum what each column draws from a chunk's queries, from their log-sum-exp.

    Arguments and result: see `cuda.kernels.reference.colsum`. Queries before `first_query` do not
    count, and on a GPU cost nothing: T - w for SnapKV's window of w.
    """
    check_chunk(query, keys, before, hidden)
    chunk = query.shape[2]
    if weights is None:
        weights = torch.ones(chunk, device=query.device)
    if backend(query) is not Backend.TRITON:
        late = query[:, :, first_query:]
        return reference.colsum(
            late, keys, lse[:, :, first_query:], before=before + first_query,
            weights=weights[first_query:], hidden=hidden, pool=pool,
        )  # fmt: skip
    from cuda.kernels.gpu.colsum import colsum as kernel

    kv_heads, group, _, size = query.shape
    columns = keys.shape[1]
    sums = torch.empty(kv_heads, columns, device=query.device)
    kernel[(kv_heads, blocks(columns, BLOCK_K))](
        query.contiguous(), keys.contiguous(), lse.contiguous(), weights.float().contiguous(),
        mask_of(hidden, query), sums, chunk, columns, before, first_query, size**-0.5,
        GROUP=group, SIZE=size, SP=padded(size), BLOCK_Q=BLOCK_Q, BLOCK_K=BLOCK_K,
        PRECISION=precision(query.dtype), HIDDEN=hidden is not None, num_warps=4,
    )  # fmt: skip
    return reference.pooled(sums, pool)
