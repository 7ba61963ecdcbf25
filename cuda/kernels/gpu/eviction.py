"""Second half of decode attention: update scores from stored logits and choose the victim."""

from __future__ import annotations

import triton
import triton.language as tl

# Codes of `cuda.kernels.slots.Victim`.
NONE: tl.constexpr = tl.constexpr(0)
AGE: tl.constexpr = tl.constexpr(1)
MEAN: tl.constexpr = tl.constexpr(3)
LAST: tl.constexpr = tl.constexpr(5)
NOBODY: tl.constexpr = tl.constexpr(2147483647)


@triton.jit
def sweep(
    logits,  # [GROUP, slots] float32 of this sequence and head
    scores,  # [slots] float32
    positions,  # [slots] int32
    pinned,  # [slots] uint8
    filled,
    slots,
    most,  # [GP] largest logit of each query head
    total,  # [GP] sum of exponentials
    step,
    victim,
    recent,
    sinks,
    decay,
    GROUP: tl.constexpr,
    GP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Add the probabilities to the scores; return the slot that ranks least among those that go.

    Ties: the oldest. NaN ranks least. The oldest of all when none may go.
    """
    head = tl.arange(0, GP)
    best = float("inf")
    best_position = NOBODY
    best_slot = 0
    for first in range(0, filled, BLOCK):
        slot = first + tl.arange(0, BLOCK)
        used = slot < filled
        logit = tl.load(
            logits + head[:, None] * slots + slot[None, :],
            mask=(head[:, None] < GROUP) & used[None, :],
            other=float("-inf"),
        )
        weight = tl.exp(logit - most[:, None]) / total[:, None]
        weight = tl.where(head[:, None] < GROUP, weight, 0.0)
        newest = tl.sum(weight, 0)
        score = tl.load(scores + slot, mask=used, other=0.0) * decay + newest
        tl.store(scores + slot, score, mask=used)
        position = tl.load(positions + slot, mask=used, other=NOBODY)
        pin = tl.load(pinned + slot, mask=used, other=0)
        rank = tl.where(victim == AGE, position.to(tl.float32), score)
        rank = tl.where(victim == LAST, newest, rank)
        age = (step - position + 1).to(tl.float32)
        rank = tl.where(victim == MEAN, score / age, rank)
        rank = tl.where(rank != rank, float("-inf"), rank)
        stays = (position > step - recent) | (position < sinks) | (pin != 0)
        rank = tl.where(used & (stays == 0), rank, float("inf"))
        least = tl.min(rank, 0)
        oldest = tl.where(used & (rank == least), position, NOBODY)
        least_position = tl.min(oldest, 0)
        least_slot = first + tl.argmin(oldest, 0)
        better = (least < best) | ((least == best) & (least_position < best_position))
        best_slot = tl.where(better, least_slot, best_slot)
        best_position = tl.where(better, least_position, best_position)
        best = tl.where(better, least, best)
    return best_slot
