"""Check and time the kernels on a GPU: one run of at most ten minutes, JSON lines out.

    python -m workers.bench.llm.gpu --out gpu.jsonl
    TRITON_INTERPRET=1 python -m workers.bench.llm.gpu --dry-run  # tiny, on a CPU

Parity of every op in every dtype, compute-sanitizer's racecheck of one shape where it is installed,
and times by replay of CUDA graphs beside torch's attention, with the bandwidth reached.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional

from cuda.kernels import (
    colsum,
    h2o_decode,
    prefill_attn,
    reference,
    rmsnorm,
    rope_qk,
    slot_gather,
    swiglu,
)
from cuda.kernels.slots import EvictionRows, SlotCache, Victim
from workers.bench.lines import write_lines

BYTES_PER_SECOND = 4.8e12
"""Memory of an H200, by its data sheet: the ceiling that times are read against."""
REPLAYS = 30
PART_S = 150.0
"""Wall time after which parity or timing starts no further case."""
RACECHECK_S = 180.0
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 4e-3}
BARE = h2o_decode.Plan(scores=False)
Line = dict[str, Any]
Step = tuple[
    torch.Tensor,
    torch.Tensor,
    torch.Tensor,
    SlotCache,
    torch.Tensor,
    torch.Tensor,
    EvictionRows,
]
"""Arguments of `h2o_decode`."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A step of decode attention: sequences, heads and slots."""

    name: str
    sequences: int
    kv_heads: int
    group: int
    size: int
    slots: int

    @property
    def bytes_read(self) -> int:
        """Keys and values in two-byte elements."""
        return 4 * self.sequences * self.kv_heads * self.size * self.slots


def _shapes() -> tuple[Shape, ...]:
    llama3 = {"kv_heads": 8, "group": 4, "size": 128}
    smol = {"kv_heads": 3, "group": 3, "size": 64}
    llama2 = {"kv_heads": 32, "group": 1, "size": 128}
    return (
        Shape(name="llama-3.1-8b, 20 % of 8k", sequences=8, slots=1638, **llama3),
        Shape(name="llama-3.1-8b, 8k", sequences=8, slots=8192, **llama3),
        Shape(name="llama-3.1-8b, 20 % of 8k", sequences=64, slots=1638, **llama3),
        Shape(name="llama-2-7b, 8k", sequences=8, slots=8192, **llama2),
        Shape(name="smollm2-135m, 20 % of 8k", sequences=64, slots=1638, **smol),
        Shape(name="llama-3.1-8b, 32k", sequences=1, slots=32768, **llama3),
    )


TINY = Shape(name="tiny", sequences=2, kv_heads=1, group=3, size=16, slots=7)
SMALL = Shape(name="small", sequences=3, kv_heads=2, group=3, size=64, slots=200)


def main(argv: list[str] | None = None) -> int:
    """Run all parts; the exit code is 1 when a parity check failed or a race was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-results/llm-gpu.jsonl"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="tiny shapes on a CPU")
    parser.add_argument("--steps-only", action="store_true", help="what racecheck runs")
    options = parser.parse_args(argv)
    if not options.dry_run and not torch.cuda.is_available():
        sys.exit("gpu: expected a CUDA device, got none; --dry-run checks the script")
    device = torch.device("cpu" if options.dry_run else "cuda")
    torch.manual_seed(options.seed)
    if options.steps_only:
        for line in _decode_parity(SMALL, torch.bfloat16, device, steps=6):
            print(line)
        return 0
    failed: list[Line] = []

    def lines() -> Iterator[Line]:
        for line in _all(device, dry=options.dry_run):
            if line.get("passed") is False:
                failed.append(line)
            yield line

    write_lines(lines(), suite="llm-gpu", seed=options.seed, out=options.out)
    return 1 if failed else 0


def _all(device: torch.device, *, dry: bool) -> Iterator[Line]:
    yield {
        "part": "device",
        "name": "cpu" if dry else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "dry": dry,
    }
    yield from _until(time.monotonic() + PART_S, _parity(device, dry=dry))
    if not dry:
        yield _racecheck()
    shapes = (TINY,) if dry else _shapes()
    yield from _until(time.monotonic() + PART_S, _times(shapes, device, dry=dry))


def _until(deadline: float, lines: Iterator[Line]) -> Iterator[Line]:
    """Pass lines on until a deadline; say so when it ends them."""
    for line in lines:
        yield line
        if time.monotonic() > deadline:
            yield {"part": "deadline", "after": line["part"]}
            return


# Parity.


def _parity(device: torch.device, *, dry: bool) -> Iterator[Line]:
    shape = TINY if dry else SMALL
    for dtype in DTYPES:
        steps = shape.slots + (3 if dry else 100)
        yield from _decode_parity(shape, dtype, device, steps=steps)
        if not dry:
            long = replace(SMALL, name="long", slots=3000, sequences=2)
            yield from _decode_parity(long, dtype, device, steps=40, filled=2980)
        yield from _chunk_parity(shape, dtype, device)
        yield from _small_parity(dtype, device)


def _rules(shape: Shape, victim: Victim, device: torch.device) -> EvictionRows:
    def ints(value: int) -> torch.Tensor:
        return torch.full((shape.sequences,), value, dtype=torch.int32, device=device)

    decay = 0.98 if victim is Victim.DECAY else 1.0
    return EvictionRows(
        victim=ints(victim),
        capacity=ints(shape.slots),
        recent=ints(max(1, shape.slots // 4)),
        sinks=ints(2),
        decay=torch.full((shape.sequences,), decay, device=device),
    )


def _cache(
    shape: Shape, dtype: torch.dtype, device: torch.device, filled: int
) -> SlotCache:
    cache = SlotCache.empty(
        shape.sequences,
        shape.kv_heads,
        shape.slots,
        shape.size,
        dtype=dtype,
        device=device,
    )
    cache.keys[:, :, :filled].normal_()
    cache.values[:, :, :filled].normal_()
    cache.scores[:, :, :filled].uniform_()
    cache.positions[:, :, :filled] = torch.arange(
        filled, dtype=torch.int32, device=device
    )
    cache.filled[:] = filled
    cache.write[:] = filled if filled < shape.slots else shape.slots // 3
    return cache


def _token(
    shape: Shape, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    heads, size = (shape.sequences, shape.kv_heads), shape.size

    def normal(*more: int) -> torch.Tensor:
        return torch.randn(*heads, *more, device=device).to(dtype)

    return normal(shape.group, size), normal(size), normal(size)


def _decode_parity(
    shape: Shape, dtype: torch.dtype, device: torch.device, *, steps: int, filled: int = 0
) -> Iterator[Line]:
    """Compare steps of every rule with the reference; victims may differ where ranks tie."""
    rows = torch.arange(shape.sequences, device=device)
    for victim in list(Victim)[1:]:
        rules = _rules(shape, victim, device)
        ours = _cache(shape, dtype, device, filled)
        theirs = SlotCache(**{name: value.clone() for name, value in vars(ours).items()})
        worst, other_victims = 0.0, 0
        for step in range(filled, filled + steps):
            token = _token(shape, dtype, device)
            at = torch.full_like(rules.victim, step)
            got = h2o_decode.h2o_decode(*token, ours, rows, at, rules)
            expected = reference.h2o_decode(*token, theirs, rows, at, rules)
            worst = max(worst, float((got.float() - expected.float()).abs().max()))
            other_victims += int((ours.write != theirs.write).sum())
            ours.write.copy_(theirs.write)
        error = float((ours.scores - theirs.scores).abs().max())
        allowed = 0 if dtype == torch.float32 else steps // 20
        yield {
            "part": "parity",
            "op": "h2o_decode",
            "shape": shape.name,
            "dtype": str(dtype),
            "victim": victim.name,
            "error": worst,
            "score_error": error,
            "other_victims": other_victims,
            "passed": worst <= TOLERANCE[dtype] and other_victims <= allowed,
        }


def _line(op: str, dtype: torch.dtype, got: torch.Tensor, wanted: torch.Tensor) -> Line:
    error = float((got.float() - wanted.float()).abs().max())
    scale = max(1.0, float(wanted.float().abs().max()))
    passed = error <= TOLERANCE[dtype] * scale
    return {
        "part": "parity",
        "op": op,
        "dtype": str(dtype),
        "error": error,
        "passed": passed,
    }


def _chunk_parity(
    shape: Shape, dtype: torch.dtype, device: torch.device
) -> Iterator[Line]:
    chunk, before = (9, 5) if shape is TINY else (130, 200)
    kv_heads, size = shape.kv_heads, shape.size
    query = torch.randn(kv_heads, shape.group, chunk, size, device=device).to(dtype)
    keys, values = torch.randn(
        2, kv_heads, before + chunk, size, device=device
    ).to(dtype)  # fmt: skip
    out, lse = prefill_attn.prefill_attn(query, keys, values, before=before)
    wanted, wanted_lse = reference.prefill_attn(query, keys, values, before=before)
    yield _line("prefill_attn", dtype, out, wanted)
    yield _line("prefill_attn lse", dtype, lse, wanted_lse)
    sums = colsum.colsum(query, keys, lse, before=before)
    yield _line(
        "colsum", dtype, sums, reference.colsum(query, keys, wanted_lse, before=before)
    )
    ours = _cache(shape, dtype, device, shape.slots)
    theirs = SlotCache(**{name: value.clone() for name, value in vars(ours).items()})
    some = (
        torch.arange(0, shape.slots, 2, device=device).expand(kv_heads, -1).contiguous()
    )
    slot_gather.slot_gather(ours, 1, some)
    reference.slot_gather(theirs, 1, some)
    for name in ("keys", "scores", "positions"):
        yield _line(
            f"slot_gather {name}", dtype, getattr(ours, name), getattr(theirs, name)
        )


def _small_parity(dtype: torch.dtype, device: torch.device) -> Iterator[Line]:
    x = torch.randn(5, 96, device=device).to(dtype)
    weight = torch.rand(96, device=device)
    yield _line(
        "rmsnorm",
        dtype,
        rmsnorm.rmsnorm(x, weight, 1e-5),
        reference.rmsnorm(x, weight, 1e-5),
    )
    yield _line("swiglu", dtype, swiglu.swiglu(x), reference.swiglu(x))
    mixed = torch.randn(5, 4, 24, device=device).to(dtype)
    angle, expected = torch.rand(5, 12, device=device), mixed.clone()
    rope_qk.rope_qk(mixed, angle.cos(), angle.sin(), 3)
    reference.rope_qk(expected, angle.cos(), angle.sin(), 3)
    yield _line("rope_qk", dtype, mixed, expected)


def _racecheck() -> Line:
    """Run a few steps below compute-sanitizer: hazards in shared memory."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return {"part": "racecheck", "skipped": "compute-sanitizer is not installed"}
    command = [tool, "--tool", "racecheck", "--error-exitcode", "9", sys.executable]
    command += ["-m", "workers.bench.llm.gpu", "--steps-only"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=RACECHECK_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"part": "racecheck", "skipped": f"not finished in {RACECHECK_S:.0f} s"}
    tail = done.stdout.strip().splitlines()[-1:]
    return {"part": "racecheck", "passed": done.returncode == 0, "said": tail}


# Times.


def _times(
    shapes: tuple[Shape, ...], device: torch.device, *, dry: bool
) -> Iterator[Line]:
    """Time one step of each shape: with scores, without, by torch's attention, and eager torch."""
    dtype = torch.bfloat16
    for shape in shapes:
        cache = _cache(shape, dtype, device, shape.slots)
        rows = torch.arange(shape.sequences, device=device)
        rules = _rules(shape, Victim.DECAY, device)
        at = torch.full_like(rules.victim, shape.slots)
        token = _token(shape, dtype, device)
        parts = h2o_decode.parts_for(
            shape.sequences * shape.kv_heads, shape.slots, _processors(device)
        )
        rivals = _rivals((token[0], token[1], token[2], cache, rows, at, rules))
        for name, call in rivals.items():
            seconds = _seconds(call, dry=dry)
            yield {
                "part": "time",
                "shape": shape.name,
                "sequences": shape.sequences,
                "slots": shape.slots,
                "rival": name,
                "parts": parts if name == "ours" else 1,
                "milliseconds": 1e3 * seconds,
                "floor_milliseconds": 1e3 * shape.bytes_read / BYTES_PER_SECOND,
                "share_of_bandwidth": shape.bytes_read / BYTES_PER_SECOND / seconds,
            }


def _rivals(given: Step) -> dict[str, Callable[[], Any]]:
    """Return what a step is timed beside."""
    query, cache = given[0], given[3]
    return {
        "ours": lambda: h2o_decode.h2o_decode(*given),
        "one launch": lambda: h2o_decode.launch(*given, h2o_decode.Plan()),
        "one launch, no scores": lambda: h2o_decode.launch(*given, BARE),
        "sdpa, no scores": lambda: functional.scaled_dot_product_attention(
            query, cache.keys, cache.values
        ),
        "eager torch": lambda: _eager(query, cache),
    }


def _eager(query: torch.Tensor, cache: SlotCache) -> torch.Tensor:
    """Attend with scores and a victim as plain torch does, without a row at a time."""
    logits = (query @ cache.keys.mT).float() * query.shape[-1] ** -0.5
    weights = torch.softmax(logits, -1)
    cache.scores.mul_(0.98).add_(weights.sum(2))
    cache.write.copy_(cache.scores.argmin(-1))
    return weights.to(cache.values.dtype) @ cache.values


def _processors(device: torch.device) -> int:
    if device.type != "cuda":
        return 1
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _seconds(call: Callable[[], Any], *, dry: bool) -> float:
    """Return the median time of a call, replayed as a CUDA graph."""
    if dry:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):  # compiles, and warms up as capturing demands
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    times = []
    for _ in range(REPLAYS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return float(sorted(times)[len(times) // 2])


if __name__ == "__main__":
    sys.exit(main())
