"""Blocks of quantised weights in GGUF files, and their values in float32.

Layouts are those of ggml (ggml-common.h, ggml-quants.c): a row is a sequence of blocks, a block
holds 32 or 256 weights with their scales.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Kind of block: `values` maps bytes [blocks, size] to float32 [blocks, weights]."""

    name: str
    weights: int
    size: int  # bytes
    values: Callable[[Bytes], Floats]


def rows(kind: int, raw: Bytes) -> Floats:
    """Return the weights [rows, columns] of rows of blocks [rows, bytes]."""
    block = BLOCKS[kind]
    count = raw.shape[0]
    # A scale that is infinite or not a number shows in the product, which the caller checks.
    with np.errstate(invalid="ignore", over="ignore"):
        return block.values(raw.reshape(-1, block.size)).reshape(count, -1)


def _halves(blocks: Bytes, first: int, count: int = 1) -> Floats:
    """Return `count` float16 numbers of each block, from byte `first` on, as [blocks, count]."""
    return (
        np.ascontiguousarray(blocks[:, first : first + 2 * count])
        .view("<f2")
        .astype(np.float32)
    )


def _f32(blocks: Bytes) -> Floats:
    return np.ascontiguousarray(blocks).view("<f4").astype(np.float32)


def _f16(blocks: Bytes) -> Floats:
    return _halves(blocks, 0)


def _bf16(blocks: Bytes) -> Floats:
    high = np.ascontiguousarray(blocks).view("<u2").astype(np.uint32) << 16
    return high.view(np.float32)


def _nibbles(blocks: Bytes, first: int) -> Floats:
    """Return 32 numbers of 4 bits: the low halves of 16 bytes, then the high halves."""
    packed = blocks[:, first : first + 16]
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)


def _q4_0(blocks: Bytes) -> Floats:
    return (_nibbles(blocks, 2) - 8) * _halves(blocks, 0)


def _q4_1(blocks: Bytes) -> Floats:
    return _nibbles(blocks, 4) * _halves(blocks, 0) + _halves(blocks, 2)


def _q8_0(blocks: Bytes) -> Floats:
    return blocks[:, 2:].view(np.int8) * _halves(blocks, 0)


def _k_scales(blocks: Bytes) -> tuple[Floats, Floats]:
    """Return scales and minima [blocks, 8] of Q4_K and Q5_K: 6 bits each, packed in 12 bytes."""
    packed = blocks[:, 4:16]
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 6) << 4)], axis=1)
    minima = np.concatenate([middle & 63, (high >> 4) | ((middle >> 6) << 4)], axis=1)
    return (
        scales * _halves(blocks, 0),
        minima * _halves(blocks, 2),
    )


def _k_nibbles(packed: Bytes) -> Bytes:
    """Return [blocks, 8, 32] numbers of 4 bits from [blocks, 128] bytes.

    Of each 32 bytes, the low halves make one group of weights and the high halves the next.
    """
    groups = packed.reshape(-1, 4, 1, 32)
    return np.concatenate([groups & 15, groups >> 4], axis=2).reshape(-1, 8, 32)


def _q4_k(blocks: Bytes) -> Floats:
    scales, minima = _k_scales(blocks)
    numbers = _k_nibbles(blocks[:, 16:]).astype(np.float32)
    values = numbers * scales[:, :, None] - minima[:, :, None]
    return values.reshape(-1, 256)


def _q5_k(blocks: Bytes) -> Floats:
    scales, minima = _k_scales(blocks)
    # Bit i of byte j is the fifth bit of weight j of group i.
    bits = np.arange(8, dtype=np.uint8)[None, :, None]
    fifth = (blocks[:, 16:48].reshape(-1, 1, 32) >> bits) & 1
    numbers = (_k_nibbles(blocks[:, 48:]) | (fifth << 4)).astype(np.float32)
    values = numbers * scales[:, :, None] - minima[:, :, None]
    return values.reshape(-1, 256)


def _q6_k(blocks: Bytes) -> Floats:
    # Two halves of 128 weights; in each, four groups of 32 weights share bytes.
    low = blocks[:, :128].reshape(-1, 2, 2, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32)
    lower = np.concatenate([low & 15, low >> 4], axis=2)
    upper = (high >> np.array([0, 2, 4, 6], np.uint8)[None, None, :, None]) & 3
    numbers = (lower | (upper << 4)).astype(np.float32) - 32
    scales = blocks[:, 192:208].view(np.int8) * _halves(blocks, 208)
    values = numbers.reshape(-1, 16, 16) * scales[:, :, None]
    return values.reshape(-1, 256)


BLOCKS = MappingProxyType(
    {
        0: Block(name="F32", weights=1, size=4, values=_f32),
        1: Block(name="F16", weights=1, size=2, values=_f16),
        2: Block(name="Q4_0", weights=32, size=18, values=_q4_0),
        3: Block(name="Q4_1", weights=32, size=20, values=_q4_1),
        8: Block(name="Q8_0", weights=32, size=34, values=_q8_0),
        12: Block(name="Q4_K", weights=256, size=144, values=_q4_k),
        13: Block(name="Q5_K", weights=256, size=176, values=_q5_k),
        14: Block(name="Q6_K", weights=256, size=210, values=_q6_k),
        30: Block(name="BF16", weights=1, size=2, values=_bf16),
    }
)
"""Kinds of block by ggml's type number."""
