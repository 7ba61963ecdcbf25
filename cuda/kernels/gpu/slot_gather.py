"""Compaction of a row's slots in place: the only data movement, once per chunk of a prompt."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def slot_gather(
    keys, values, scores, positions, pinned, kept, row, count, slots,
    SIZE: tl.constexpr, SP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Program h: move slot kept[h, j] of head h to slot j, for j in order.

    `kept` ascends, so that a block's sources lie at or behind its targets, and later blocks read
    nothing that an earlier one wrote.
    """
    h = tl.program_id(0)
    cells = (row * tl.num_programs(0) + h).to(tl.int64) * slots
    d = tl.arange(0, SP)
    for first in range(0, count, BLOCK):
        j = first + tl.arange(0, BLOCK)
        used = j < count
        source = cells + tl.load(kept + h * count + j, mask=used, other=0)
        target = cells + j
        inside = used[:, None] & (d[None, :] < SIZE)
        key = tl.load(keys + source[:, None] * SIZE + d[None, :], mask=inside)
        value = tl.load(values + source[:, None] * SIZE + d[None, :], mask=inside)
        score = tl.load(scores + source, mask=used)
        position = tl.load(positions + source, mask=used)
        pin = tl.load(pinned + source, mask=used)
        # All warps have read before any of them writes.
        tl.debug_barrier()
        tl.store(keys + target[:, None] * SIZE + d[None, :], key, mask=inside)
        tl.store(values + target[:, None] * SIZE + d[None, :], value, mask=inside)
        tl.store(scores + target, score, mask=used)
        tl.store(positions + target, position, mask=used)
        tl.store(pinned + target, pin, mask=used)
        tl.debug_barrier()
