"""Kernels compiled for GPUs that are not here: registers, spills, shared memory, size."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(
    find_spec("triton") is None, reason="triton is not installed"
)
SHARED_BYTES, CUBIN_BYTES, REGISTERS = 100 << 10, 60_000, 128
# A tile of 64 queries of size 128 needs more on Ampere, whose products take operands in registers.
MORE_REGISTERS = {"prefill_attn": 160}
NAMES = (
    "h2o_decode",
    "h2o_decode_part",
    "h2o_decode_reduce",
    "prefill_attn",
    "colsum",
    "slot_gather",
    "rmsnorm",
    "rope_qk",
    "swiglu",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("architecture", [80, 90, 100])
@pytest.mark.parametrize("name", NAMES)
def test_kernels_fit(name: str, architecture: int) -> None:
    from cuda.kernels.cross_compile import kernels

    all_kernels = {one.name: one for one in kernels(128, 4, torch.bfloat16)}
    assert tuple(all_kernels) == NAMES
    built = all_kernels[name].compile(architecture)
    assert built.spilled_bytes == 0
    assert built.registers <= MORE_REGISTERS.get(name, REGISTERS)
    assert built.shared_bytes <= SHARED_BYTES
    assert built.cubin_bytes <= CUBIN_BYTES


@pytest.mark.parametrize(
    ("size", "group", "dtype"),
    [(64, 3, torch.bfloat16), (80, 8, torch.float16), (128, 4, torch.float32)],
)
def test_decode_fits_in_other_shapes(size: int, group: int, dtype: torch.dtype) -> None:
    from cuda.kernels.cross_compile import kernels

    built = next(kernels(size, group, dtype)).compile(90)
    assert built.spilled_bytes == 0
    assert built.registers <= REGISTERS
    assert built.shared_bytes <= SHARED_BYTES
    assert built.cubin_bytes <= CUBIN_BYTES
    # Between the token's write and its reading, and between logits and sweep.
    assert built.barriers >= 2
