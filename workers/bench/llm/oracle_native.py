"""The oracle's steps in C++, for measurements of many texts.

Built at first use into the user's cache folder; without a compiler the oracle stays in torch.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cuda.kernels.native.build import cache_folder, installed_compilers

if TYPE_CHECKING:
    from workers.bench.llm.oracle import Arm

SOURCE = Path(__file__).with_name("oracle_steps.cpp")
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-fno-math-errno")


class _Arm(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_int32)
            for name in (
                "victim",
                "capacity",
                "recent",
                "prompt",
                "chunk",
                "window",
                "pool",
            )
        ),
        ("decay", ctypes.c_float),
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the library; None where no compiler builds it."""
    digest = hashlib.sha256(SOURCE.read_bytes() + repr(FLAGS).encode()).hexdigest()[:16]
    try:
        folder = cache_folder()
    except OSError:
        return None
    path = folder / f"oracle-{digest}.so"
    if not path.is_file():
        part = folder / f".oracle-{digest}-{os.getpid()}.so"
        for compiler in installed_compilers():
            command = [*compiler, *FLAGS, str(SOURCE), "-o", str(part)]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=120)
            except (OSError, subprocess.SubprocessError):
                continue
            part.replace(path)
            break
        else:
            return None
    return ctypes.CDLL(str(path))


class NativeHeads:
    """Tokens that each head of each arm holds, as lists. Same use as `oracle.Masks`."""

    def __init__(
        self,
        steps: ctypes.CDLL,
        arms: Sequence[Arm],
        fixed: torch.Tensor,
        kv_heads: int,
        tokens: int,
    ) -> None:
        """Begin an empty cache; `fixed` [A, 1, T] marks sinks and pins."""
        shape = (len(arms), kv_heads, tokens)
        self._steps = steps.oracle_steps
        self._arms = (_Arm * len(arms))(
            *(
                _Arm(
                    int(arm.victim),
                    arm.capacity,
                    arm.recent,
                    arm.prompt,
                    arm.chunk,
                    arm.window,
                    arm.pool,
                    arm.decay,
                )
                for arm in arms
            )
        )
        self._fixed = fixed.to(torch.uint8).contiguous()
        self._scores = torch.zeros(shape)
        self.left = torch.full(shape, tokens, dtype=torch.int32)
        self._held = torch.zeros(shape, dtype=torch.int32)
        self._count = torch.zeros(shape[:2], dtype=torch.int32)

    def attend(self, logits: torch.Tensor, first: int) -> None:
        """Turn logits [A, KV, G, Q, first + Q] of queries from `first` on into attention."""
        count, kv_heads, group, _, columns = logits.shape
        assert logits.is_contiguous()
        tensors = (
            self._fixed,
            logits,
            self._scores,
            self.left,
            self._held,
            self._count,
        )
        self._steps(
            self._arms,
            *(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors),
            *map(
                ctypes.c_int32,
                (count, kv_heads, group, first, columns, self.left.shape[-1]),
            ),
        )
