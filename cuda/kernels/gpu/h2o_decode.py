"""Decode attention over slots in one launch: write, attend, update scores, choose the victim."""

from __future__ import annotations

import triton
import triton.language as tl

from cuda.kernels.gpu.eviction import NONE, sweep


@triton.jit
def write_token(
    key, value, keys, values, scores, positions, pinned, slot, step, free,
    SIZE: tl.constexpr, SP: tl.constexpr,
):  # fmt: skip
    """Put a token into a slot if it is free. All pointers are those of this sequence and head."""
    d = tl.arange(0, SP)
    inside = d < tl.where(free, SIZE, 0)
    new_key = tl.load(key + d, mask=inside, other=0.0)
    new_value = tl.load(value + d, mask=inside, other=0.0)
    to = slot.to(tl.int64) * SIZE + d
    tl.store(keys + to, new_key.to(keys.dtype.element_ty), mask=inside)
    tl.store(values + to, new_value.to(values.dtype.element_ty), mask=inside)
    tl.store(scores + slot, 0.0, mask=free)
    tl.store(positions + slot, step, mask=free)
    tl.store(pinned + slot, 0, mask=free)


@triton.jit
def attend(
    query,  # [GP, SP], padded with zeros; products are in its dtype
    keys,
    values,
    logits,
    first_slot,
    last_slot,
    slots,
    scale,
    GROUP: tl.constexpr,
    GP: tl.constexpr,
    SIZE: tl.constexpr,
    SP: tl.constexpr,
    BLOCK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Attend to the slots [first_slot, last_slot) with an online softmax; store the logits.

    Returns the largest logit [GP], the sum of exponentials [GP], and the unscaled output [GP, SP].
    """
    d = tl.arange(0, SP)
    head = tl.arange(0, GP)
    most = tl.full((GP,), float("-inf"), tl.float32)
    total = tl.zeros((GP,), tl.float32)
    mixed = tl.zeros((GP, SP), tl.float32)
    for first in range(first_slot, last_slot, BLOCK):
        slot = first + tl.arange(0, BLOCK)
        used = slot < last_slot
        at = slot.to(tl.int64)[:, None] * SIZE + d[None, :]
        inside = used[:, None] & (d[None, :] < SIZE)
        k = tl.load(keys + at, mask=inside, other=0.0).to(query.dtype)
        logit = tl.dot(query, tl.trans(k), input_precision=PRECISION) * scale
        logit = tl.where(used[None, :], logit, float("-inf"))
        tl.store(
            logits + head[:, None] * slots + slot[None, :],
            logit,
            mask=used[None, :] & (head[:, None] < GROUP),
        )
        higher = tl.maximum(most, tl.max(logit, 1))
        shrink = tl.exp(most - higher)
        weight = tl.exp(logit - higher[:, None])
        total = total * shrink + tl.sum(weight, 1)
        v = tl.load(values + at, mask=inside, other=0.0).to(query.dtype)
        mixed = mixed * shrink[:, None]
        mixed += tl.dot(weight.to(query.dtype), v, input_precision=PRECISION)
        most = higher
    return most, total, mixed


@triton.jit
def h2o_decode(
    query, key, value, out, keys, values, scores, positions, pinned, filled, write,
    rows, steps, victims, capacities, recents, sinks, decays, logits, slots, scale,
    GROUP: tl.constexpr, GP: tl.constexpr, SIZE: tl.constexpr, SP: tl.constexpr,
    BLOCK: tl.constexpr, PRECISION: tl.constexpr, SCORES: tl.constexpr = True,
):  # fmt: skip
    """Program (i, h): live sequence i, key-value head h. Shapes: cuda/kernels/reference.py.

    GROUP query heads are padded to GP rows, SIZE dimensions to SP. A sequence without a free slot
    gets NaN: an error would have to wait for the device. Without SCORES, only measurements do that,
    attention is all that happens after the write.
    """
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
    new = (i * heads + h).to(tl.int64)
    keys += cells * SIZE
    values += cells * SIZE
    scores += cells
    positions += cells
    pinned += cells
    logits += new * GROUP * slots
    write_token(
        key + new * SIZE, value + new * SIZE, keys, values, scores, positions, pinned,
        slot, step, free, SIZE, SP,
    )  # fmt: skip
    # Other warps read the token below.
    tl.debug_barrier()
    head = tl.arange(0, GP)
    d = tl.arange(0, SP)
    queries = new * GROUP * SIZE + head[:, None] * SIZE + d[None, :]
    real = (head[:, None] < GROUP) & (d[None, :] < SIZE)
    q = tl.load(query + queries, mask=real, other=0.0)
    if PRECISION == "ieee":
        q = q.to(tl.float32)
    count = tl.where(free, count, 0)
    most, total, mixed = attend(
        q, keys, values, logits, 0, count, slots, scale,
        GROUP, GP, SIZE, SP, BLOCK, PRECISION,
    )  # fmt: skip
    tl.store(out + queries, (mixed / total[:, None]).to(out.dtype.element_ty), mask=real)
    if SCORES:
        # Other warps wrote some of the logits that the sweep reads.
        tl.debug_barrier()
        victim = tl.load(victims + i)
        least = sweep(
            logits, scores, positions, pinned, count, slots, most, total, step, victim,
            tl.load(recents + i), tl.load(sinks + i), tl.load(decays + i),
            GROUP, GP, BLOCK,
        )  # fmt: skip
        room = (count < capacity) | (victim == NONE)
        tl.store(write + at, tl.where(room, count, least), mask=free)
    # All heads agree on the count, so one of them tells.
    if h == 0:
        tl.store(filled + row, count, mask=free)
