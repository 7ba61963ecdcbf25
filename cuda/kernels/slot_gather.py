"""Compaction of a row's slots in place."""

from __future__ import annotations

import torch

from cuda.kernels import reference
from cuda.kernels.dispatch import Backend, backend
from cuda.kernels.shapes import padded
from cuda.kernels.slots import SlotCache

BLOCK = 32


def slot_gather(cache: SlotCache, row: int, kept: torch.Tensor) -> None:
    """Keep some slots of a row, moved to its beginning in their order.

    Args:
        cache: changed in place; `write` is left alone.
        row: of the sequence.
        kept: [KV, m] int64 slots, ascending in each head. That they ascend is not checked on a GPU.

    Raises:
        ValueError: the slots do not fit the cache, or do not ascend.
    """
    kv_heads, slots, size = cache.keys.shape[1:]
    if kept.ndim != 2 or len(kept) != kv_heads or kept.shape[1] > slots:
        raise ValueError(
            f"kept: expected [{kv_heads}, at most {slots}], got {list(kept.shape)}"
        )
    on_gpu = kept.device.type == "cuda"
    if not on_gpu and kept.numel() and not _ascends(kept, slots):
        raise ValueError(
            f"kept: expected ascending slots below {slots}, got {kept.tolist()}"
        )
    if backend(cache.keys) is not Backend.TRITON:
        reference.slot_gather(cache, row, kept)
        return
    from cuda.kernels.gpu.slot_gather import slot_gather as kernel

    kernel[(kv_heads,)](
        cache.keys, cache.values, cache.scores, cache.positions, cache.pinned.view(torch.uint8),
        kept.contiguous(), row, kept.shape[1], slots, SIZE=size, SP=padded(size), BLOCK=BLOCK,
        num_warps=4,
    )  # fmt: skip
    cache.filled[row] = kept.shape[1]


def _ascends(kept: torch.Tensor, slots: int) -> bool:
    inside = bool((kept >= 0).all() and (kept < slots).all())
    return inside and bool((kept.diff(dim=1) > 0).all())
