"""Decode attention over long caches: parts of the slots in parallel, then one ordered reduction."""

from __future__ import annotations

import triton
import triton.language as tl

from cuda.kernels.gpu.eviction import NONE, sweep
from cuda.kernels.gpu.h2o_decode import attend, write_token


@triton.jit
def h2o_decode_part(
    query, key, value, keys, values, scores, positions, pinned, filled, write,
    rows, steps, capacities, logits, part_most, part_total, part_mixed, slots, width, scale,
    GROUP: tl.constexpr, GP: tl.constexpr, SIZE: tl.constexpr, SP: tl.constexpr,
    BLOCK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Program (i, h, p): attend to the slots [p width, (p + 1) width) of a sequence and head."""
    i = tl.program_id(0)
    h = tl.program_id(1)
    p = tl.program_id(2)
    heads = tl.num_programs(1)
    parts = tl.num_programs(2)
    row = tl.load(rows + i)
    step = tl.load(steps + i)
    at = row * heads + h
    cells = at.to(tl.int64) * slots
    slot = tl.load(write + at)
    count = tl.maximum(tl.load(filled + row), slot + 1)
    free = slot < tl.load(capacities + i)
    count = tl.where(free, count, 0)
    new = (i * heads + h).to(tl.int64)
    keys += cells * SIZE
    values += cells * SIZE
    first = p * width
    last = tl.minimum(first + width, count)
    # The part that holds the slot writes the token; no other part reads it.
    own = tl.where(free, slot // width == p, False)
    write_token(
        key + new * SIZE, value + new * SIZE, keys, values, scores + cells,
        positions + cells, pinned + cells, slot, step,
        own, SIZE, SP,
    )  # fmt: skip
    tl.debug_barrier()
    head = tl.arange(0, GP)
    d = tl.arange(0, SP)
    queries = new * GROUP * SIZE + head[:, None] * SIZE + d[None, :]
    real = (head[:, None] < GROUP) & (d[None, :] < SIZE)
    q = tl.load(query + queries, mask=real, other=0.0)
    if PRECISION == "ieee":
        q = q.to(tl.float32)
    most, total, mixed = attend(
        q, keys, values, logits + new * GROUP * slots, first, last, slots, scale,
        GROUP, GP, SIZE, SP, BLOCK, PRECISION,
    )  # fmt: skip
    part = (new * parts + p) * GROUP + head
    tl.store(part_most + part, most, mask=head < GROUP)
    tl.store(part_total + part, total, mask=head < GROUP)
    tl.store(part_mixed + part[:, None] * SIZE + d[None, :], mixed, mask=real)


@triton.jit
def h2o_decode_reduce(
    out, scores, positions, pinned, filled, write, rows, steps, victims, capacities,
    recents, sinks, decays, logits, part_most, part_total, part_mixed, slots, parts,
    GROUP: tl.constexpr, GP: tl.constexpr, SIZE: tl.constexpr, SP: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Program (i, h): join the parts in their order, update scores, choose the victim."""
    i = tl.program_id(0)
    h = tl.program_id(1)
    heads = tl.num_programs(1)
    row = tl.load(rows + i)
    step = tl.load(steps + i)
    capacity = tl.load(capacities + i)
    at = row * heads + h
    cells = at.to(tl.int64) * slots
    slot = tl.load(write + at)
    count = tl.maximum(tl.load(filled + row), slot + 1)
    free = slot < capacity
    count = tl.where(free, count, 0)
    new = (i * heads + h).to(tl.int64)
    head = tl.arange(0, GP)
    d = tl.arange(0, SP)
    real = (head[:, None] < GROUP) & (d[None, :] < SIZE)
    most = tl.full((GP,), float("-inf"), tl.float32)
    total = tl.zeros((GP,), tl.float32)
    mixed = tl.zeros((GP, SP), tl.float32)
    for p in range(0, parts):
        part = (new * parts + p) * GROUP + head
        held = tl.load(part_total + part, mask=head < GROUP, other=0.0)
        peak = tl.load(part_most + part, mask=head < GROUP, other=float("-inf"))
        some = held != 0.0
        higher = tl.maximum(most, tl.where(some, peak, float("-inf")))
        # A part without slots has no largest logit, nor have the parts before the first.
        old = tl.where(total != 0.0, tl.exp(most - higher), 0.0)
        now = tl.where(some, tl.exp(peak - higher), 0.0)
        total = total * old + held * now
        more = tl.load(
            part_mixed + part[:, None] * SIZE + d[None, :], mask=real, other=0.0
        )
        mixed = mixed * old[:, None] + tl.where(some[:, None], more, 0.0) * now[:, None]
        most = higher
    queries = new * GROUP * SIZE + head[:, None] * SIZE + d[None, :]
    tl.store(out + queries, (mixed / total[:, None]).to(out.dtype.element_ty), mask=real)
    victim = tl.load(victims + i)
    least = sweep(
        logits + new * GROUP * slots, scores + cells, positions + cells, pinned + cells,
        count, slots, most, total, step, victim,
        tl.load(recents + i), tl.load(sinks + i), tl.load(decays + i),
        GROUP, GP, BLOCK,
    )  # fmt: skip
    room = (count < capacity) | (victim == NONE)
    tl.store(write + at, tl.where(room, count, least), mask=free)
    if h == 0:
        tl.store(filled + row, count, mask=free)
