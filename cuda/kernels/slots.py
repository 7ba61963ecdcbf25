"""Key-value cache of one layer as slots that are overwritten in place, and the eviction rules.

Source: H2O, arXiv 2306.14048, Algorithm 1 and appendix A (a filled slot is overwritten, nothing is
moved). Here every key-value head decides once for its group of query heads (GQA), scores are fp32,
and a token's true position is kept beside its slot, so that the number of slots never stands for a
position.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch

EMPTY = -1
"""Position of a slot that holds no token."""


class Victim(IntEnum):
    """Rank of a slot: the least goes, among those that a rule lets go. Ties: the oldest token."""

    NONE = 0
    """No eviction. Writing beyond the capacity is an error of the caller."""
    AGE = 1
    """Position: sliding window, and StreamingLLM with sinks (arXiv 2309.17453)."""
    SUM = 2
    """Attention accumulated over all own steps: H2O as published."""
    MEAN = 3
    """Accumulated attention by age in steps."""
    DECAY = 4
    """Accumulated attention that fades by a factor at each own step."""
    LAST = 5
    """Attention of the newest query: TOVA (arXiv 2401.06104), one decision per key-value head."""


@dataclass(frozen=True, kw_only=True)
class EvictionRows:
    """Eviction rule of each live sequence. A is the number of live sequences of a step."""

    victim: torch.Tensor
    """[A] int32, a `Victim`."""
    capacity: torch.Tensor
    """[A] int32: slots that the sequence may fill, at most the cache's."""
    recent: torch.Tensor
    """[A] int32: newest tokens that never go, the token of this step among them; at least 1."""
    sinks: torch.Tensor
    """[A] int32: first positions of the text that never go."""
    decay: torch.Tensor
    """[A] float32 in (0, 1]: factor of old scores at each step; 1 unless `Victim.DECAY`."""


@dataclass(kw_only=True)
class SlotCache:
    """Slots of one layer. S sequences, KV key-value heads, C slots, head size D."""

    keys: torch.Tensor
    """[S, KV, C, D], after the rotary embedding at the true position."""
    values: torch.Tensor
    """[S, KV, C, D]."""
    scores: torch.Tensor
    """[S, KV, C] float32."""
    positions: torch.Tensor
    """[S, KV, C] int32, `EMPTY` in a free slot."""
    pinned: torch.Tensor
    """[S, KV, C] bool: slots that never go."""
    filled: torch.Tensor
    """[S] int32: slots in use, the same in every head."""
    write: torch.Tensor
    """[S, KV] int32: slot that the next token overwrites."""

    @classmethod
    def empty(
        cls,
        sequences: int,
        kv_heads: int,
        slots: int,
        head_size: int,
        *,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> SlotCache:
        """Return a cache without tokens."""
        per_slot = (sequences, kv_heads, slots)
        return cls(
            keys=torch.zeros((*per_slot, head_size), dtype=dtype, device=device),
            values=torch.zeros((*per_slot, head_size), dtype=dtype, device=device),
            scores=torch.zeros(per_slot, dtype=torch.float32, device=device),
            positions=torch.full(per_slot, EMPTY, dtype=torch.int32, device=device),
            pinned=torch.zeros(per_slot, dtype=torch.bool, device=device),
            filled=torch.zeros(sequences, dtype=torch.int32, device=device),
            write=torch.zeros((sequences, kv_heads), dtype=torch.int32, device=device),
        )

    @property
    def slots(self) -> int:
        """Slots of each head."""
        return self.keys.shape[2]

    def clear(self, row: int) -> None:
        """Forget the sequence of a row."""
        self.positions[row] = EMPTY
        self.scores[row] = 0
        self.pinned[row] = False
        self.filled[row] = 0
        self.write[row] = 0
