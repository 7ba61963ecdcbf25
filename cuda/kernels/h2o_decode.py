"""One step of decode attention over slots, with scores and the next victim, in one call."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cuda.kernels import reference
from cuda.kernels.dispatch import Backend, backend
from cuda.kernels.shapes import blocks, padded, precision
from cuda.kernels.slots import EvictionRows, SlotCache

BLOCK = 32
"""Slots of a tile."""
REDUCE_BLOCK = 512
"""Slots of a tile of the scores' sweep after a split."""
LONG = 2048
"""Slots above which few sequences are split into parts."""
PART = 512
"""Least slots of a part."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Choices of a step on a GPU."""

    parts: int = 1
    """Parts that a row's slots are split into; joined in their order, so results depend on it."""
    scores: bool = True
    """Without them nothing is evicted: to measure what scores cost. One part only."""


def h2o_decode(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cache: SlotCache,
    rows: torch.Tensor,
    step: torch.Tensor,
    rules: EvictionRows,
) -> torch.Tensor:
    """Write one token per sequence, attend over its slots, update scores and choose the victim.

    `cuda.kernels.reference.h2o_decode` says what it computes and is its fallback.

    Args:
        query: [A, KV, G, D] after the rotary embedding; G query heads share a key-value head.
        key: [A, KV, D] after the rotary embedding.
        value: [A, KV, D].
        cache: changed in place.
        rows: [A] int64, the row of each live sequence in the cache, all different.
        step: [A] int32, true position of the new token.
        rules: one per live sequence.

    Returns:
        [A, KV, G, D] in the query's dtype. On a GPU, a sequence without a free slot gets NaN and is
        left alone: an error would have to wait for the device.

    Raises:
        ValueError: a sequence has no free slot, or a shape or dtype does not fit the cache.
    """
    reference.check_shapes(query, key, value, cache, rows, step, rules)
    chosen = backend(query)
    if chosen is Backend.TRITON:
        parts = parts_for(
            len(rows) * cache.keys.shape[1], cache.slots, _processors(query)
        )
        return launch(query, key, value, cache, rows, step, rules, Plan(parts=parts))
    if chosen is Backend.NATIVE:
        from cuda.kernels.native.library import h2o_decode as native

        return native(query, key, value, cache, rows, step, rules)
    return reference.h2o_decode(query, key, value, cache, rows, step, rules)


def parts_for(programs: int, slots: int, processors: int) -> int:
    """Return how many parts the slots of each of `programs` rows are split into."""
    if slots <= LONG or programs >= processors:
        return 1
    return max(1, min(blocks(slots, PART), 2 * processors // programs))


def _processors(tensor: torch.Tensor) -> int:
    if tensor.device.type != "cuda":
        return 1
    return int(torch.cuda.get_device_properties(tensor.device).multi_processor_count)


def launch(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cache: SlotCache,
    rows: torch.Tensor,
    step: torch.Tensor,
    rules: EvictionRows,
    plan: Plan,
) -> torch.Tensor:
    """Run a step by Triton: one kernel, or two when the slots are split.

    Arguments and result: see `h2o_decode`, which checks them and chooses the plan.
    """
    live, kv_heads, group, size = query.shape
    query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
    out = torch.empty_like(query)
    rows, step = rows.contiguous(), step.int().contiguous()
    device = query.device
    logits = torch.empty(live, kv_heads, group, cache.slots, device=device)
    pinned = cache.pinned.view(torch.uint8)
    shape = {
        "GROUP": group,
        "GP": padded(group),
        "SIZE": size,
        "SP": padded(size),
        "BLOCK": BLOCK if cache.slots > BLOCK else padded(cache.slots),
    }
    product = precision(query.dtype)
    parts = plan.parts
    if parts == 1:
        from cuda.kernels.gpu.h2o_decode import h2o_decode as one_launch

        one_launch[(live, kv_heads)](
            query, key, value, out, cache.keys, cache.values, cache.scores,
            cache.positions, pinned, cache.filled, cache.write, rows, step, rules.victim,
            rules.capacity, rules.recent, rules.sinks, rules.decay, logits, cache.slots,
            size**-0.5, **shape, PRECISION=product,
            SCORES=plan.scores, num_warps=4,
        )  # fmt: skip
        return out
    from cuda.kernels.gpu.h2o_decode_split import h2o_decode_part, h2o_decode_reduce

    per_part = (live, kv_heads, parts, group)
    most = torch.empty(per_part, device=device)
    total = torch.empty(per_part, device=device)
    mixed = torch.empty((*per_part, size), device=device)
    width = blocks(blocks(cache.slots, parts), shape["BLOCK"]) * shape["BLOCK"]
    h2o_decode_part[(live, kv_heads, parts)](
        query, key, value, cache.keys, cache.values, cache.scores, cache.positions, pinned,
        cache.filled, cache.write, rows, step, rules.capacity, logits, most, total, mixed,
        cache.slots, width, size**-0.5, **shape, PRECISION=product, num_warps=4,
    )  # fmt: skip
    h2o_decode_reduce[(live, kv_heads)](
        out, cache.scores, cache.positions, pinned, cache.filled, cache.write, rows, step,
        rules.victim, rules.capacity, rules.recent, rules.sinks, rules.decay, logits, most,
        total, mixed, cache.slots, parts,
        **(shape | {"BLOCK": shape["BLOCK"] if cache.slots <= LONG else REDUCE_BLOCK}), num_warps=4,
    )  # fmt: skip
    return out
