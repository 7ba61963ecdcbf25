"""Measure FBGEMM's fused look-up (TBE): forward, and backward with SGD, of sets of 1 to 15 tables.

The protocol is that of NeuroShard (Zha et al., MLSys 2023, section 3.1, and its released collector)
with three changes. An op is rebuilt several times, because on a CPU two builds of one op differ
more than two runs of one build. The rebuilds of several samples are interleaved, so that a slow
minute of the machine does not fall on one sample. The L2 is flushed on the device itself.

CPU and GPU share all code but the stopwatch. The CUDA path is written for a real GPU and has not
been run on one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workers.train.sharding.collect import journal
from workers.train.sharding.collect.errors import CollectError, check_limits
from workers.train.sharding.collect.machine import machine, versions
from workers.train.sharding.collect.progress import Progress, to_stderr
from workers.train.sharding.collect.random_sets import (
    DrawLimits,
    Lookups,
    TableConfig,
    draw_lookups,
    draw_pool,
    draw_set,
    fits,
)
from workers.train.sharding.collect.stopwatch import Stopwatch, stopwatch

FORMAT = "trimtab-tbe-costs/1"
KINDS = ("single", "set", "noise")
LEARNING_RATE = 0.01
# Values do not change the time, as long as none is a denormal.
WEIGHT, GRADIENT = 0.01, 1e-3
_ORDER, _ROUND = 3, 4  # streams of random numbers, apart from those of random_sets.py


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Protocol of timing one sample."""

    device: str
    threads: int
    """Threads of torch on the CPU."""
    warm_ups: int
    repeats: int
    """Timed iterations of one build; the median is its time."""
    rebuilds: int
    """Builds of one sample; the median of their times is the cost."""
    noise_rebuilds: int
    """Builds of a sample that measures the noise floor."""
    interleave: int
    """Samples whose rebuilds alternate."""

    def __post_init__(self) -> None:
        limits = (
            ("threads", self.threads, 1, 1_024),
            ("warm-ups", self.warm_ups, 0, 1_000),
            ("repeats", self.repeats, 1, 10_000),
            ("rebuilds", self.rebuilds, 1, 1_000),
            ("noise-rebuilds", self.noise_rebuilds, 2, 10_000),
            ("interleave", self.interleave, 1, 100),
        )
        check_limits(limits)


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Target number of samples of each kind in the file."""

    sets: int
    singles: int
    """Number of the pool's first tables to time alone, for an additive model."""
    noise: int
    """Number of the first sets to measure again, with `noise_rebuilds`."""

    def __post_init__(self) -> None:
        check_limits(
            (
                ("samples", self.sets, 0, 10_000_000),
                ("singles", self.singles, 0, 10_000_000),
                ("noise", self.noise, 0, 10_000_000),
            )
        )
        if self.noise > self.sets:
            raise CollectError(
                f"--noise: expected at most the {self.sets} of --samples, got {self.noise}"
            )


@dataclass(frozen=True, order=True)
class Item:
    """A sample to measure."""

    kind: str
    index: int


def collect(
    out: Path,
    limits: DrawLimits,
    protocol: Protocol,
    amounts: Amounts,
    say: Callable[[str], None] = to_stderr,
) -> int:
    """Measure the samples that `out` lacks; return how many were added."""
    pool = draw_pool(limits)
    if amounts.singles > len(pool):
        raise CollectError(
            f"--singles: expected at most the {len(pool)} tables of --pool, got {amounts.singles}"
        )
    torch.set_num_threads(protocol.threads)
    watch = stopwatch(protocol.device)
    with journal.opened(out, header(limits, protocol, pool, watch)) as book:
        have = {Item(line["kind"], line["index"]) for line in book.lines}
        todo = [item for item in work(amounts, limits.seed) if item not in have]
        progress = Progress(total=len(todo) + len(have), done=len(have), say=say)
        for chunk in _chunks(todo, protocol.interleave):
            for line in _measure(chunk, pool, limits, protocol, watch, progress):
                book.append(line)
                progress.done += 1
    return len(todo)


def header(
    limits: DrawLimits, protocol: Protocol, pool: list[TableConfig], watch: Stopwatch
) -> journal.Line:
    """Return the data that all samples share and that a repetition needs."""
    return {
        "kind": "run",
        "format": FORMAT,
        "draw": asdict(limits),
        "protocol": asdict(protocol)
        | {
            "flush_bytes": watch.flush_bytes,
            "optimizer": "exact_sgd",
            "learning_rate": LEARNING_RATE,
            "weights": "fp32",
            "output": "fp32",
            "pooling": "sum",
        },
        "machine": machine(protocol.device),
        "versions": versions(),
        "pool_columns": ["rows", "dim", "pooling", "alpha", "active_rows"],
        "pool": [t.as_row() for t in pool],
        "set_columns": ["pool index", "lookups", "unique rows"],
    }


def work(amounts: Amounts, seed: int) -> list[Item]:
    """Return all samples in a shuffled order.

    The order does not depend on their number, so a longer run continues a shorter one. Noise
    samples come last, so that they are measured at other times than the sets they repeat.
    """

    def place(item: Item) -> tuple[bool, float]:
        rng = np.random.default_rng([seed, _ORDER, KINDS.index(item.kind), item.index])
        return item.kind == "noise", float(rng.random())

    counts = {"single": amounts.singles, "set": amounts.sets, "noise": amounts.noise}
    return sorted(
        (Item(kind, i) for kind in KINDS for i in range(counts[kind])), key=place
    )


def _chunks(todo: list[Item], size: int) -> list[list[Item]]:
    """Group neighbours; noise samples apart, because they have another number of rebuilds."""
    parts = [
        [i for i in todo if i.kind != "noise"],
        [i for i in todo if i.kind == "noise"],
    ]
    return [part[k : k + size] for part in parts for k in range(0, len(part), size)]


def _measure(
    chunk: list[Item],
    pool: list[TableConfig],
    limits: DrawLimits,
    protocol: Protocol,
    watch: Stopwatch,
    progress: Progress,
) -> list[journal.Line]:
    """Measure a chunk: each round builds and times every sample once, in another order."""
    places = [
        [item.index] if item.kind == "single" else draw_set(pool, item.index, limits)
        for item in chunk
    ]
    tables = [[pool[i] for i in chosen] for chosen in places]
    lookups: list[Lookups] = []
    for item, chosen, of_set in zip(chunk, places, tables, strict=True):
        if not fits(of_set, limits):
            raise CollectError(
                f"{item.kind} {item.index}: exceeds --max-gib {limits.max_gib}; give more memory"
            )
        progress.tick(f"drawing {item.kind} {item.index}")
        lookups.append(draw_lookups(of_set, chosen, limits))
    rounds = protocol.noise_rebuilds if chunk[0].kind == "noise" else protocol.rebuilds
    times: list[list[tuple[float, float]]] = [[] for _ in chunk]
    for turn in range(rounds):
        order = np.random.default_rng([limits.seed, _ROUND, turn]).permutation(len(chunk))
        for k in map(int, order):
            progress.tick(
                f"{chunk[k].kind} {chunk[k].index}, build {turn + 1} of {rounds}"
            )
            times[k].append(
                time_one_build(tables[k], lookups[k], limits.batch, protocol, watch)
            )
    return [
        {
            "kind": item.kind,
            "index": item.index,
            "tables": [
                list(row) for row in zip(chosen, batch.counts, batch.unique, strict=True)
            ],
            "forward_ms": [round(f, 4) for f, _ in took],
            "backward_ms": [round(b, 4) for _, b in took],
        }
        for item, chosen, batch, took in zip(chunk, places, lookups, times, strict=True)
    ]


def time_one_build(
    tables: list[TableConfig],
    lookups: Lookups,
    batch: int,
    protocol: Protocol,
    watch: Stopwatch,
) -> tuple[float, float]:
    """Return the milliseconds of forward, and of backward with update.

    Medians over the iterations of a newly built op.
    """
    op = build(tables, watch.device)
    indices = torch.from_numpy(lookups.indices).to(watch.device)
    offsets = torch.from_numpy(lookups.offsets).to(watch.device)
    gradient = torch.full(
        (batch, sum(t.dim for t in tables)), GRADIENT, device=watch.device
    )
    forward, backward = [], []
    for iteration in range(protocol.warm_ups + protocol.repeats):
        watch.flush()
        took_forward, pooled = watch.time_ms(lambda: op(indices, offsets))
        watch.flush()  # in training the dense network runs between the two
        took_backward, _ = watch.time_ms(partial(pooled.backward, gradient))
        if iteration >= protocol.warm_ups:
            forward.append(took_forward)
            backward.append(took_backward)
    return statistics.median(forward), statistics.median(backward)


def build(tables: list[TableConfig], device: Any) -> Any:
    """Build FBGEMM's training op over all tables, with weights in the device's own memory."""
    from fbgemm_gpu.split_embedding_configs import EmbOptimType, SparseType
    from fbgemm_gpu.split_table_batched_embeddings_ops_common import (
        EmbeddingLocation,
        PoolingMode,
    )
    from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
        ComputeDevice,
        SplitTableBatchedEmbeddingBagsCodegen,
    )

    on_gpu = device.type == "cuda"
    place = (
        (EmbeddingLocation.DEVICE, ComputeDevice.CUDA)
        if on_gpu
        else (EmbeddingLocation.HOST, ComputeDevice.CPU)
    )
    op = SplitTableBatchedEmbeddingBagsCodegen(
        embedding_specs=[(t.rows, t.dim, *place) for t in tables],
        optimizer=EmbOptimType.EXACT_SGD,
        learning_rate=LEARNING_RATE,
        weights_precision=SparseType.FP32,
        output_dtype=SparseType.FP32,
        pooling_mode=PoolingMode.SUM,
        device=device,
    )
    # Touch every page: untouched ones would all be the kernel's one page of zeros, and cached.
    for weights in op.split_embedding_weights():
        weights.fill_(WEIGHT)
    return op
