"""Key-value cache of an engine: slots of all layers, rows given to sequences, memory by arithmetic.

A row has room for the whole context, in memory that the system commits only where it is written.
What sequences may fill together is bounded by `memory_bytes`, and checked before a sequence starts.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass

import numpy as np
import torch

from cuda.kernels.slots import SlotCache
from workers.llm.decoder_types import DecoderConfig

_BESIDE_BYTES = 9
"""Score (4), position (4) and pin (1) of a slot of one head."""


@dataclass(frozen=True, kw_only=True)
class RowState:
    """Copy of a sequence's state: keys, values, scores, positions, pins of all layers."""

    keys: torch.Tensor
    """[L, KV, n, D]."""
    values: torch.Tensor
    """[L, KV, n, D]."""
    scores: torch.Tensor
    """[L, KV, n] float32."""
    positions: torch.Tensor
    """[L, KV, n] int32."""
    pinned: torch.Tensor
    """[L, KV, n] bool."""
    write: torch.Tensor
    """[L, KV] int32."""

    @property
    def size_bytes(self) -> int:
        """Memory of the copy."""
        parts = (
            self.keys,
            self.values,
            self.scores,
            self.positions,
            self.pinned,
            self.write,
        )
        return sum(part.numel() * part.element_size() for part in parts)


class KeyValueCache:
    """Slots of every layer for a number of sequences."""

    def __init__(
        self,
        config: DecoderConfig,
        *,
        sequences: int,
        slots: int,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> None:
        """Reserve `sequences` rows of `slots` per head in each layer."""
        self.slots = slots
        self.slot_bytes = slot_bytes(config, dtype)
        per_slot = (config.layers, sequences, config.kv_heads, slots)
        pages = _Pages(torch.device(device))
        keys = pages.zeros((*per_slot, config.head_size), dtype)
        values = pages.zeros((*per_slot, config.head_size), dtype)
        scores = pages.zeros(per_slot, torch.float32)
        positions = pages.zeros(per_slot, torch.int32)
        pinned = pages.zeros(per_slot, torch.bool)
        filled = torch.zeros((config.layers, sequences), dtype=torch.int32, device=device)
        write = torch.zeros(
            (config.layers, sequences, config.kv_heads), dtype=torch.int32, device=device
        )
        self._pages = pages
        self._large = (keys, values)
        self._all = (keys, values, scores, positions, pinned)
        self._filled = filled
        self._write = write
        self.layers = tuple(
            SlotCache(
                keys=keys[layer],
                values=values[layer],
                scores=scores[layer],
                positions=positions[layer],
                pinned=pinned[layer],
                filled=filled[layer],
                write=write[layer],
            )
            for layer in range(config.layers)
        )

    def filled(self, row: int) -> int:
        """Return the slots in use of a row, in the layer that has most; the same in every head."""
        return int(self._filled[:, row].max())

    def clear(self, row: int, keep: int = 0) -> None:
        """Forget a row's sequence and return the memory of all but its first `keep` slots."""
        filled = self.filled(row)
        self._filled[:, row] = 0
        self._write[:, row] = 0
        if filled > keep:
            for tensor in self._large:
                self._pages.release(tensor[:, row], keep)

    def truncate(self, row: int, tokens: int) -> None:
        """Forget a row's tokens from number `tokens` on. Only where nothing has been evicted."""
        self._filled[:, row] = tokens
        self._write[:, row] = tokens

    def save(self, row: int) -> RowState:
        """Return a copy of a row's state."""
        n = self.filled(row)
        keys, values, scores, positions, pinned = (
            tensor[:, row, :, :n].clone() for tensor in self._all
        )
        return RowState(
            keys=keys,
            values=values,
            scores=scores,
            positions=positions,
            pinned=pinned,
            write=self._write[:, row].clone(),
        )

    def load(self, row: int, state: RowState) -> None:
        """Put a copy of a state into a row."""
        n = state.keys.shape[2]
        saved = (state.keys, state.values, state.scores, state.positions, state.pinned)
        for tensor, part in zip(self._all, saved, strict=True):
            tensor[:, row, :, :n] = part
        self._filled[:, row] = n
        self._write[:, row] = state.write


def slot_bytes(config: DecoderConfig, dtype: torch.dtype) -> int:
    """Return the memory of one token in all layers and heads."""
    per_head = 2 * config.head_size * dtype.itemsize + _BESIDE_BYTES
    return config.layers * config.kv_heads * per_head


class _Pages:
    """Tensors of zeros whose memory is committed when written, where the device allows it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._maps: dict[int, mmap.mmap] = {}

    def zeros(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Return a tensor of zeros."""
        if self._device.type != "cpu":
            return torch.zeros(shape, dtype=dtype, device=self._device)
        count = int(np.prod(shape))
        # Private: memory of a shared map cannot be given back.
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        pages = mmap.mmap(-1, count * dtype.itemsize, flags=flags)
        flat = torch.frombuffer(pages, dtype=dtype, count=count)
        self._maps[flat.data_ptr()] = pages
        return flat.view(shape)

    def release(self, row: torch.Tensor, keep: int) -> None:
        """Return the memory of the slots from `keep` on to the system; they read as zeros then.

        `row` is [L, KV, C, D], a part of a tensor of `zeros`.
        """
        pages = self._maps.get(row.untyped_storage().data_ptr())
        if pages is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        layers, heads, slots, _ = row.shape
        size = row.element_size()
        page = mmap.PAGESIZE
        for layer in range(layers):
            for head in range(heads):
                part = row[layer, head]
                start = (part.storage_offset() + keep * part.stride(0)) * size
                end = (part.storage_offset() + slots * part.stride(0)) * size
                start, end = -(-start // page) * page, end // page * page
                if end > start:
                    pages.madvise(mmap.MADV_DONTNEED, start, end - start)
