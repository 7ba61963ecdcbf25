"""Rotary embedding of queries and keys in place."""

from __future__ import annotations

import torch

from cuda.kernels import reference
from cuda.kernels.dispatch import Backend, backend
from cuda.kernels.shapes import padded


def rope_qk(
    mixed: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor, turned: int
) -> None:
    """Rotate the first `turned` heads of mixed [A, heads, D] in place.

    Arguments: see `cuda.kernels.reference.rope_qk`.

    Raises:
        ValueError: shapes do not fit, or `mixed` is not contiguous.
    """
    live, heads, size = mixed.shape
    if not mixed.is_contiguous() or size % 2 or not 0 <= turned <= heads:
        raise ValueError(
            f"mixed: expected contiguous [A, at least {turned}, even D], got "
            f"{list(mixed.shape)} with strides {mixed.stride()}"
        )
    for name, tensor in (("cosine", cosine), ("sine", sine)):
        if tensor.shape != (live, size // 2):
            raise ValueError(
                f"{name}: expected {[live, size // 2]}, got {list(tensor.shape)}"
            )
    if backend(mixed) is not Backend.TRITON:
        reference.rope_qk(mixed, cosine, sine, turned)
        return
    from cuda.kernels.gpu.rope_qk import rope_qk as kernel

    kernel[(live, turned)](
        mixed, cosine.float().contiguous(), sine.float().contiguous(), heads, turned,
        HALF=size // 2, BLOCK=padded(size // 2), num_warps=1,
    )  # fmt: skip
