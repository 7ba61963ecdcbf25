"""Time the native kernels on a CPU beside torch's: attention, products, a step, a chunk.

    python -m workers.bench.llm.kernels --out kernels.jsonl

CPU time of one thread. A case's rivals take turns in every round, so that a change of the machine's
speed meets all alike; a line has the median of the rounds and their quartiles.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import torch
import torch.nn.functional as functional

from cuda.kernels import reference
from cuda.kernels.chunk_attn import chunk_attn
from cuda.kernels.h2o_decode import h2o_decode
from cuda.kernels.native.library import Library, require_library
from cuda.kernels.packed import Form, PackedMatrix
from cuda.kernels.slots import EvictionRows, SlotCache, Victim
from workers.bench.lines import write_lines
from workers.bench.stats import quantile

KV_HEADS, GROUP, SIZE = 3, 3, 64
"""Heads of SmolLM2-135M."""
OPS = ("h2o_decode", "product", "chunk_attn")
STEPS = ((1, 104), (1, 410), (1, 1638), (1, 2048), (1, 8192), (8, 410), (8, 2048))
"""Sequences and slots of a decode step."""
PRODUCTS = {
    "gate+up": (3072, 576),
    "down": (576, 1536),
    "qkv": (960, 576),
    "head": (49152, 576),
}
CHUNKS = (0, 256, 2048, 7936)
"""Slots before a chunk of `CHUNK` tokens."""
CHUNK = 256
CALL_S = 0.01
"""CPU time of a rival in a round, in as many calls as it takes."""
Line = dict[str, Any]
Rivals = dict[str, Callable[[], Any]]


def main(argv: list[str] | None = None) -> int:
    """Measure every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results/llm-kernels.jsonl")
    )
    parser.add_argument("--ops", nargs="+", choices=OPS, default=list(OPS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    library = require_library()
    with torch.inference_mode():
        write_lines(
            _all(library, options.ops, options.rounds),
            suite="llm-kernels",
            seed=options.seed,
            out=options.out,
        )
    return 0


def _all(library: Library, ops: Sequence[str], rounds: int) -> Iterator[Line]:
    for sequences, slots in STEPS if "h2o_decode" in ops else ():
        case = {"op": "h2o_decode", "sequences": sequences, "slots": slots}
        yield from _timed(case, _steps(library, sequences, slots), rounds)
    for name, (outputs, inputs) in PRODUCTS.items() if "product" in ops else ():
        for rows in (1, 8):
            case = {"op": "product", "matrix": name, "rows": rows}
            yield from _timed(case, _products(outputs, inputs, rows), rounds)
    for before in CHUNKS if "chunk_attn" in ops else ():
        case = {"op": "chunk_attn", "queries": CHUNK, "slots": before}
        yield from _timed(case, _chunks(before), rounds)


def _timed(case: Line, rivals: Rivals, rounds: int) -> Iterator[Line]:
    """Time rivals in turns; the order within a round rotates."""
    calls = {}
    for name, call in rivals.items():
        call()
        began = process_time()
        call()
        calls[name] = max(1, int(CALL_S / max(process_time() - began, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in rivals}
    names = list(rivals)
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            began = process_time()
            for _ in range(calls[name]):
                rivals[name]()
            times[name].append((process_time() - began) / calls[name])
    for name, seconds in times.items():
        yield case | {
            "rival": name,
            "tier": require_library().tier,
            "rounds": rounds,
            "cpu_ms": round(1e3 * quantile(seconds, 0.5), 5),
            "quartiles_ms": [round(1e3 * quantile(seconds, q), 5) for q in (0.25, 0.75)],
        }


def _steps(library: Library, sequences: int, slots: int) -> Rivals:
    """Return one step of a full cache: native by tier, the reference, and SDPA without scores."""

    def ints(value: int) -> torch.Tensor:
        return torch.full((sequences,), value, dtype=torch.int32)

    cache = SlotCache.empty(sequences, KV_HEADS, slots, SIZE, dtype=torch.bfloat16)
    cache.keys.normal_()
    cache.values.normal_()
    cache.positions[:] = torch.arange(slots, dtype=torch.int32)
    cache.filled[:] = slots
    cache.write[:] = slots // 3
    rules = EvictionRows(
        victim=ints(Victim.DECAY),
        capacity=ints(slots),
        recent=ints(slots // 2),
        sinks=ints(4),
        decay=torch.full((sequences,), 0.98),
    )
    query = torch.randn(sequences, KV_HEADS, GROUP, SIZE).bfloat16()
    key = torch.randn(sequences, KV_HEADS, SIZE).bfloat16()
    arguments = (query, key, key, cache, torch.arange(sequences), ints(slots), rules)

    def native(tier: int) -> Callable[[], Any]:
        def call() -> Any:
            library.choose_tier(tier)
            return h2o_decode(*arguments)

        return call

    names = ("generic", "avx2", "avx512")
    tiers = [i for i in range(len(names)) if library.choose_tier(i)]
    return {f"native {names[i]}": native(i) for i in tiers} | {
        "torch with scores": lambda: reference.h2o_decode(*arguments),
        "torch SDPA, no scores": lambda: functional.scaled_dot_product_attention(
            query, cache.keys, cache.values
        ),
    }


def _products(outputs: int, inputs: int, rows: int) -> Rivals:
    """Return one product in each form, and torch's own."""
    weight, x = torch.randn(outputs, inputs) * inputs**-0.5, torch.randn(rows, inputs)
    half, half_x = weight.bfloat16(), x.bfloat16()
    scale = weight.abs().amax(1) / 127
    codes = (weight / scale[:, None]).round().to(torch.int8)

    def ours(form: Form) -> Callable[[], Any]:
        matrix = PackedMatrix.pack(weight, form=form)
        return lambda: matrix(x)

    return {f"native {form.name}": ours(form) for form in Form} | {
        "torch int8pack, bf16 inputs": lambda: torch._weight_int8pack_mm(
            half_x, codes, scale.bfloat16()
        ),
        "torch bf16": lambda: functional.linear(half_x, half),
        "torch f32": lambda: functional.linear(x, weight),
    }


def _chunks(before: int) -> Rivals:
    """Return attention of a chunk: with sums, by torch with sums, and SDPA without."""
    columns = before + CHUNK
    query = torch.randn(KV_HEADS, GROUP, CHUNK, SIZE)
    keys, values = torch.randn(2, KV_HEADS, columns, SIZE).bfloat16()
    weights = 0.98 ** torch.arange(CHUNK - 1, -1, -1).float()
    seen = torch.arange(columns) <= before + torch.arange(CHUNK)[:, None]
    wide_keys, wide_values = (
        part[None].repeat_interleave(GROUP, 1).float() for part in (keys, values)
    )
    queries = query.reshape(1, KV_HEADS * GROUP, CHUNK, SIZE)
    options: Line = {"before": before, "weights": weights}
    return {
        "native": lambda: chunk_attn(query, keys, values, **options),
        "torch with sums": lambda: reference.chunk_attn(query, keys, values, **options),
        "torch SDPA f32, no sums": lambda: functional.scaled_dot_product_attention(
            queries, wide_keys, wide_values, attn_mask=seen
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
