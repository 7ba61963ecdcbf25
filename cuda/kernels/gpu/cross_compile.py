"""Compile every Triton kernel for GPUs that are not here, and read what the compiler says.

Triton's wheel carries its own ptxas, so no GPU, driver or CUDA toolkit is needed.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
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
from cuda.kernels.gpu.shapes import padded
from cuda.kernels.h2o_decode import BLOCK

ARCHITECTURES = (80, 90, 100)
"""A100; H100 and H200; B200."""
_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What a kernel costs on a GPU."""

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
    element = f"*{_NAMES[dtype]}"
    exact = "ieee" if dtype == torch.float32 else "tf32"
    whole, real = "*i32", "*fp32"
    heads = {"GROUP": group, "GP": padded(group), "SIZE": size, "SP": padded(size)}
    tokens = dict.fromkeys(("query", "key", "value", "out", "keys", "values"), element)
    state = {"scores": real, "positions": whole, "pinned": "*u8", "filled": whole}
    state |= {"write": whole, "rows": "*i64", "steps": whole, "capacities": whole}
    rules = {"victims": whole, "recents": whole, "sinks": whole, "decays": real}
    numbers = {"logits": real, "slots": "i32", "scale": "fp32"}
    parts = dict.fromkeys(("part_most", "part_total", "part_mixed"), real)
    known = tokens | state | rules | numbers | parts | {"width": "i32", "parts": "i32"}

    def kernel(
        name: str, function: Any, types: dict[str, str], warps: int = 4, **constants: Any
    ) -> Kernel:
        taken = set(function.arg_names) - set(constants)
        return Kernel(
            name=name,
            function=function,
            types={one: types[one] for one in taken},
            constants=constants,
            warps=warps,
        )

    decode: Callable[..., Kernel] = partial(kernel, types=known, **heads)
    yield decode("h2o_decode", h2o_decode.h2o_decode, BLOCK=BLOCK, PRECISION=exact)
    yield decode(
        "h2o_decode_part", h2o_decode_split.h2o_decode_part, BLOCK=BLOCK, PRECISION=exact
    )
    yield decode("h2o_decode_reduce", h2o_decode_split.h2o_decode_reduce, BLOCK=512)
    chunk = tokens | {"hidden": "*u8", "lse": real, "weights": real, "sums": real}
    chunk |= dict.fromkeys(("chunk", "columns", "before", "first_query"), "i32")
    chunk |= {"scale": "fp32"}
    of_chunk = {key: heads[key] for key in ("GROUP", "SIZE", "SP")}
    of_chunk |= {"PRECISION": exact, "HIDDEN": True}
    tile = prefill_attn.tile(dtype)
    yield kernel(
        "prefill_attn", prefill_kernel.prefill_attn, chunk,
        BLOCK_Q=tile[0], BLOCK_K=tile[1], warps=prefill_attn.WARPS, **of_chunk,
    )  # fmt: skip
    yield kernel(
        "colsum", colsum_kernel.colsum, chunk,
        BLOCK_Q=colsum.BLOCK_Q, BLOCK_K=colsum.BLOCK_K, **of_chunk,
    )  # fmt: skip
    yield kernel(
        "slot_gather", gather_kernel.slot_gather,
        known | {"kept": "*i64", "row": "i32", "count": "i32"},
        SIZE=size, SP=padded(size), BLOCK=slot_gather.BLOCK,
    )  # fmt: skip
    small = {"x": element, "weight": real, "out": element, "width": "i32", "eps": "fp32"}
    small |= {"mixed": element, "cosine": real, "sine": real, "heads": "i32"}
    small |= {"turned": "i32", "gate_up": element}
    yield kernel("rmsnorm", rmsnorm.rmsnorm, small, BLOCK=padded(size * group * 8))
    yield kernel(
        "rope_qk", rope_qk.rope_qk, small, HALF=size // 2, BLOCK=padded(size // 2)
    )
    yield kernel("swiglu", swiglu.swiglu, small, BLOCK=1024)


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
