"""Blocks of quantised weights, against ggml's loops written out one weight at a time."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

from workers.bench.fuzz.gguf import files
from workers.llm import dequantise


def half(block: bytes, at: int) -> float:
    return float(struct.unpack_from("<e", block, at)[0])


def q4_0(block: bytes) -> list[float]:
    d, packed = half(block, 0), block[2:]
    return [d * ((b & 15) - 8) for b in packed] + [d * ((b >> 4) - 8) for b in packed]


def q4_1(block: bytes) -> list[float]:
    d, m, packed = half(block, 0), half(block, 2), block[4:]
    return [d * (b & 15) + m for b in packed] + [d * (b >> 4) + m for b in packed]


def q8_0(block: bytes) -> list[float]:
    return [half(block, 0) * q for q in struct.unpack_from("<32b", block, 2)]


def k_scale(block: bytes, group: int) -> tuple[int, int]:
    """ggml's get_scale_min_k4."""
    q = block[4:16]
    if group < 4:
        return q[group] & 63, q[group + 4] & 63
    low, high = q[group + 4] & 15, q[group + 4] >> 4
    return low | (q[group - 4] >> 6) << 4, high | (q[group] >> 6) << 4


def q4_k(block: bytes) -> list[float]:
    d, smallest = half(block, 0), half(block, 2)
    values = []
    for group in range(8):
        scale, minimum = k_scale(block, group)
        for j in range(32):
            packed = block[16 + 32 * (group // 2) + j]
            number = packed >> 4 if group % 2 else packed & 15
            values.append(d * scale * number - smallest * minimum)
    return values


def q5_k(block: bytes) -> list[float]:
    d, smallest = half(block, 0), half(block, 2)
    values = []
    for group in range(8):
        scale, minimum = k_scale(block, group)
        for j in range(32):
            packed = block[48 + 32 * (group // 2) + j]
            number = packed >> 4 if group % 2 else packed & 15
            number += 16 * (block[16 + j] >> group & 1)
            values.append(d * scale * number - smallest * minimum)
    return values


def q6_k(block: bytes) -> list[float]:
    d = half(block, 208)
    scales = struct.unpack_from("<16b", block, 192)
    values = [0.0] * 256
    for part in range(2):
        for j in range(32):
            low, high = block[64 * part :], block[128 + 32 * part + j]
            numbers = (
                (low[j] & 15) | (high & 3) << 4,
                (low[j + 32] & 15) | (high >> 2 & 3) << 4,
                (low[j] >> 4) | (high >> 4 & 3) << 4,
                (low[j + 32] >> 4) | (high >> 6 & 3) << 4,
            )
            for k, number in enumerate(numbers):
                scale = scales[8 * part + j // 16 + 2 * k]
                values[128 * part + 32 * k + j] = d * scale * (number - 32)
    return values


@pytest.mark.parametrize(
    ("kind", "loop"),
    [
        (files.Q4_0, q4_0),
        (files.Q4_1, q4_1),
        (files.Q8_0, q8_0),
        (files.Q4_K, q4_k),
        (files.Q5_K, q5_k),
        (files.Q6_K, q6_k),
    ],
)
def test_blocks_are_as_ggml_reads_them(
    kind: int, loop: Callable[[bytes], list[float]]
) -> None:
    block = dequantise.BLOCKS[kind]
    rng = np.random.default_rng(kind)
    raw = files.random_blocks(kind, (3, 4 * block.weights), rng)
    rows = dequantise.rows(kind, np.frombuffer(raw, np.uint8).reshape(3, -1))
    blocks = [raw[i : i + block.size] for i in range(0, len(raw), block.size)]
    expected = np.array([loop(one) for one in blocks]).reshape(3, -1)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, rtol=1e-6, atol=1e-7)


def test_plain_numbers() -> None:
    values = np.array([[0.0, -1.5, 3.0e-3, 65504.0]], np.float32)
    half_bytes = values.astype("<f2").view(np.uint8)
    np.testing.assert_array_equal(
        dequantise.rows(files.F16, half_bytes), values.astype(np.float16)
    )
    np.testing.assert_array_equal(
        dequantise.rows(files.F32, values.astype("<f4").view(np.uint8)), values
    )
    brain = (values.view(np.uint32) >> 16).astype("<u2").view(np.uint8)
    np.testing.assert_allclose(dequantise.rows(files.BF16, brain), values, rtol=1 / 128)
