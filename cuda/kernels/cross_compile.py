"""Compile every Triton kernel for GPUs that are not here, and read what the compiler says.

Triton's wheel carries its own ptxas, so no GPU, driver or CUDA toolkit is needed.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource

from cuda.kernels import colsum, prefill_attn, slot_gather
from cuda.kernels.gpu import colsum as colsum_kernel
from cuda.kernels.gpu import h2o_decode, h2o_decode_split, rmsnorm, rope_qk, swiglu
from cuda.kernels.gpu import prefill_attn as prefill_kernel
from cuda.kernels.gpu import slot_gather as gather_kernel
from cuda.kernels.h2o_decode import BLOCK, REDUCE_BLOCK
from cuda.kernels.shapes import padded

ARCHITECTURES = (80, 90, 100)
"""A100; H100 and H200; B200."""
_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """Resources that a kernel takes on a GPU."""

    name: str
    architecture: int
    registers: int
    spilled_bytes: int
    shared_bytes: int
    cubin_bytes: int
    barriers: int


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel with the types of its arguments."""

    name: str
    function: Any
    types: dict[str, str]
    constants: dict[str, Any]
    warps: int = 4

    def compile(self, architecture: int) -> Compiled:
        """Compile for a compute capability times ten."""
        types = self.types | dict.fromkeys(self.constants, "constexpr")
        ordered = {name: types[name] for name in self.function.arg_names}
        # Torch's tensors are aligned, which the launch would find out.
        aligned = {
            (i,): [["tt.divisibility", 16]]
            for i, kind in enumerate(ordered.values())
            if kind.startswith("*")
        }
        source = ASTSource(
            fn=self.function, signature=ordered, constexprs=self.constants, attrs=aligned
        )
        built = triton.compile(
            source,
            target=GPUTarget("cuda", architecture, 32),
            options={"num_warps": self.warps, "enable_fp_fusion": True},
        )
        registers, spilled, size = _assembled(built.asm["ptx"], architecture)
        return Compiled(
            name=self.name,
            architecture=architecture,
            registers=registers,
            spilled_bytes=spilled,
            shared_bytes=built.metadata.shared,
            cubin_bytes=size,
            barriers=built.asm["ptx"].count("bar.sync"),
        )


def kernels(size: int, group: int, dtype: torch.dtype) -> Iterator[Kernel]:
    """Return every kernel for a head size, a group and a dtype of cache and queries."""
    types = _types(dtype)

    def kernel(
        name: str, function: Any, constants: dict[str, Any], warps: int = 4
    ) -> Kernel:
        return Kernel(
            name=name,
            function=function,
            types={one: types[one] for one in function.arg_names if one not in constants},
            constants=constants,
            warps=warps,
        )

    heads = {"GROUP": group, "SIZE": size, "SP": padded(size)}
    products = {"PRECISION": "ieee" if dtype == torch.float32 else "tf32"}
    step = heads | {"GP": padded(group), "BLOCK": BLOCK}
    yield kernel("h2o_decode", h2o_decode.h2o_decode, step | products | {"SCORES": True})
    yield kernel("h2o_decode_part", h2o_decode_split.h2o_decode_part, step | products)
    yield kernel(
        "h2o_decode_reduce",
        h2o_decode_split.h2o_decode_reduce,
        step | {"BLOCK": REDUCE_BLOCK},
    )
    chunk = heads | products | {"HIDDEN": True}
    block_q, block_k = prefill_attn.tile(dtype)
    yield kernel(
        "prefill_attn",
        prefill_kernel.prefill_attn,
        chunk | {"BLOCK_Q": block_q, "BLOCK_K": block_k},
        prefill_attn.WARPS,
    )
    yield kernel(
        "colsum",
        colsum_kernel.colsum,
        chunk | {"BLOCK_Q": colsum.BLOCK_Q, "BLOCK_K": colsum.BLOCK_K},
    )
    yield kernel(
        "slot_gather",
        gather_kernel.slot_gather,
        {"SIZE": size, "SP": padded(size), "BLOCK": slot_gather.BLOCK},
    )
    yield kernel("rmsnorm", rmsnorm.rmsnorm, {"BLOCK": 4096}, 8)
    half = {"HALF": size // 2, "BLOCK": padded(size // 2)}
    yield kernel("rope_qk", rope_qk.rope_qk, half, 1)
    yield kernel("swiglu", swiglu.swiglu, {"BLOCK": 1024})


def _types(dtype: torch.dtype) -> dict[str, str]:
    """Return the type of every argument by its name, the same in all kernels."""
    element = f"*{_NAMES[dtype]}"
    names = (
        (element, "query key value out keys values x mixed gate_up"),
        (
            "*fp32",
            "scores decays logits part_most part_total part_mixed lse weights sums",
        ),
        ("*fp32", "weight cosine sine"),
        ("*i32", "positions filled write steps victims capacities recents sinks"),
        ("*i64", "rows kept"),
        ("*u8", "pinned hidden"),
        (
            "i32",
            "slots width parts chunk columns before first_query row count heads turned",
        ),
        ("fp32", "scale eps"),
    )
    return {name: kind for kind, group in names for name in group.split()}


def _assembled(ptx: str, architecture: int) -> tuple[int, int, int]:
    """Return registers per thread, spilled bytes, and bytes of the cubin without line numbers."""
    target = re.search(r"^\.target ([^\s,]+)", ptx, re.MULTILINE)
    if target is None:
        raise RuntimeError("ptx: expected a .target line, got none")
    with tempfile.TemporaryDirectory(prefix="ptx-") as folder:
        source, cubin = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(ptx)
        # The options of Triton's own call.
        done = subprocess.run(
            [get_ptxas(architecture).path, "-lineinfo", "-suppress-debug-info", "-v",
             "--regAllocOptLevel=2", f"--gpu-name={target[1]}", str(source), "-o", str(cubin)],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"ptxas: {done.stderr.strip()[-500:]}")
        size = cubin.stat().st_size
    registers = re.search(r"Used (\d+) registers", done.stderr)
    spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    if registers is None or spills is None:
        raise RuntimeError(f"ptxas: expected a report of registers, got {done.stderr!r}")
    return int(registers[1]), int(spills[1]) + int(spills[2]), size
