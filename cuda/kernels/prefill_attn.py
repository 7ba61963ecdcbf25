"""Attention of a chunk of the prompt over the slots before it and itself, with log-sum-exp."""

from __future__ import annotations

import torch

from cuda.kernels import reference
from cuda.kernels.dispatch import Backend, backend
from cuda.kernels.shapes import blocks, padded, precision

WARPS = 8


def tile(dtype: torch.dtype) -> tuple[int, int]:
    """Return queries and columns of a tile: float32 takes twice the registers."""
    return (16, 16) if dtype == torch.float32 else (64, 32)


def prefill_attn(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    before: int,
    hidden: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend from a chunk of queries to the slots before it and to itself.

    Arguments and result: see `cuda.kernels.reference.prefill_attn`.
    """
    check_chunk(query, keys, before, hidden)
    if backend(query) is not Backend.TRITON:
        return reference.prefill_attn(query, keys, values, before=before, hidden=hidden)
    from cuda.kernels.gpu.prefill_attn import prefill_attn as kernel

    kv_heads, group, chunk, size = query.shape
    query = query.contiguous()
    out = torch.empty_like(query)
    lse = torch.empty(query.shape[:3], device=query.device)
    block_q, block_k = tile(query.dtype)
    block_q = min(block_q, padded(chunk))
    kernel[(kv_heads * group, blocks(chunk, block_q))](
        query, keys.contiguous(), values.contiguous(), mask_of(hidden, query), out, lse,
        chunk, keys.shape[1], before, size**-0.5, GROUP=group, SIZE=size, SP=padded(size),
        BLOCK_Q=block_q, BLOCK_K=block_k, PRECISION=precision(query.dtype),
        HIDDEN=hidden is not None, num_warps=WARPS,
    )  # fmt: skip
    return out, lse


def check_chunk(
    query: torch.Tensor, keys: torch.Tensor, before: int, hidden: torch.Tensor | None
) -> None:
    """Raise ValueError when keys do not fit the queries of a chunk."""
    kv_heads, _, chunk, size = query.shape
    shape = (kv_heads, before + chunk, size)
    if before < 0 or keys.shape != shape:
        raise ValueError(f"keys: expected {list(shape)}, got {list(keys.shape)}")
    if hidden is not None and hidden.shape != shape[:2]:
        raise ValueError(f"hidden: expected {list(shape[:2])}, got {list(hidden.shape)}")


def mask_of(hidden: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
    """Return the mask as bytes; any tensor of the device where there is none."""
    if hidden is None:
        return like
    return hidden.contiguous().view(torch.uint8)
