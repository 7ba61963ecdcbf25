"""One step of decode attention over slots, with scores and the next victim, in one call."""

from __future__ import annotations

import torch

from cuda.kernels import reference
from cuda.kernels.dispatch import Backend, backend
from cuda.kernels.slots import EvictionRows, SlotCache


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
        [A, KV, G, D] in the query's dtype.

    Raises:
        ValueError: a sequence has no free slot, or a shape or dtype does not fit the cache.
    """
    reference.check_shapes(query, key, value, cache, rows, step, rules)
    if backend(query) is Backend.NATIVE:
        from cuda.kernels.native.library import h2o_decode as native

        return native(query, key, value, cache, rows, step, rules)
    return reference.h2o_decode(query, key, value, cache, rows, step, rules)
