"""Sizes of Triton programs, without importing triton."""

from __future__ import annotations

import torch

from cuda.kernels.dispatch import interpreted

MINIMUM = 16
"""Least rows, columns and depth of a matrix product on tensor cores."""


def padded(size: int, least: int = MINIMUM) -> int:
    """Return the power of two that covers a size."""
    return max(least, 1 << (size - 1).bit_length())


def precision(dtype: torch.dtype) -> str:
    """Return the precision of products: "ieee" widens to float32 and never rounds to tf32.

    The interpreter multiplies the bits of bfloat16 as integers, so it always widens.
    """
    return "ieee" if dtype == torch.float32 or interpreted() else "tf32"


def blocks(count: int, block: int) -> int:
    """Return the number of blocks that cover a count."""
    return -(-count // block)
