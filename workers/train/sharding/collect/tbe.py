"""Costs of FBGEMM's fused look-up (TBE): forward, and backward with SGD, of sets of 1 to 15 tables.

NeuroShard's protocol (MLSys'23, section 3.1 and its released collector) with three changes: an op is rebuilt several
times, as on a CPU two builds of one op differ more than two runs of one build; the rebuilds of several samples are
interleaved, so that a slow minute does not fall on one sample; and the L2 is flushed on the device itself.

CPU and GPU share everything here but the stopwatch. The CUDA path is written for a real GPU and has not been run on
one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workers.train.sharding.collect import journal
from workers.train.sharding.collect.draw import (
    DrawLimits,
    Lookups,
    TableConfig,
    draw_lookups,
    draw_pool,
    draw_set,
    fits,
)
from workers.train.sharding.collect.errors import CollectError
from workers.train.sharding.collect.machine import machine, versions
from workers.train.sharding.collect.progress import Progress, to_stderr
from workers.train.sharding.collect.watch import Stopwatch, stopwatch

FORMAT = "trimtab-tbe-costs/1"
KINDS = ("single", "set", "noise")
LEARNING_RATE = 0.01
WEIGHT, GRADIENT = (
    0.01,
    1e-3,
)  # values do not change the time, as long as none is a denormal
_ORDER, _ROUND = 3, 4  # streams of random numbers beside those of draw.py


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How one sample is timed."""

    device: str
    threads: int
    """Of torch on the CPU."""
    warm_ups: int
    repeats: int
    """Timed iterations of one build; their median counts."""
    rebuilds: int
    """Builds of one sample; the profile takes the median of their medians."""
    noise_rebuilds: int
    """Builds of a sample that measures the noise floor."""
    interleave: int
    """Samples whose rebuilds take turns."""

    def __post_init__(self) -> None:
        limits = (
            ("threads", self.threads, 1, 1_024),
            ("warm-ups", self.warm_ups, 0, 1_000),
            ("repeats", self.repeats, 1, 10_000),
            ("rebuilds", self.rebuilds, 1, 1_000),
            ("noise-rebuilds", self.noise_rebuilds, 2, 10_000),
            ("interleave", self.interleave, 1, 100),
        )
        for name, value, least, most in limits:
            if not least <= value <= most:
                raise CollectError(
                    f"--{name} wants a number from {least} to {most}; {value} came"
                )


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How many samples of each kind the file shall have."""

    sets: int
    singles: int
    """The pool's first tables, each alone: what an additive model adds up."""
    noise: int
    """Of the first sets, measured again with `noise_rebuilds`."""

    def __post_init__(self) -> None:
        for name, value in (
            ("samples", self.sets),
            ("singles", self.singles),
            ("noise", self.noise),
        ):
            if not 0 <= value <= 10_000_000:
                raise CollectError(
                    f"--{name} wants a number from 0 to 10,000,000; {value} came"
                )
        if self.noise > self.sets:
            raise CollectError(
                f"--noise repeats some of the --samples; {self.noise} of {self.sets} came"
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
    """Measure what `out` does not have yet; returns how many samples were added."""
    pool = draw_pool(limits)
    if amounts.singles > len(pool):
        raise CollectError(
            f"--singles are tables of the --pool; {amounts.singles} of {len(pool)} came"
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
    """All that samples have in common, and that a repetition needs."""
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
    """All samples in a shuffled order that does not depend on how many there are: a longer run continues a shorter.

    Noise comes last and takes long, so that it also sees other minutes than the sets it repeats.
    """

    def place(item: Item) -> tuple[bool, float]:
        rng = np.random.default_rng([seed, _ORDER, KINDS.index(item.kind), item.index])
        return item.kind == "noise", float(rng.random())

    counts = {"single": amounts.singles, "set": amounts.sets, "noise": amounts.noise}
    return sorted((Item(kind, i) for kind in KINDS for i in range(counts[kind])), key=place)


def _chunks(todo: list[Item], size: int) -> list[list[Item]]:
    """Neighbours in turn; noise apart, as it has another number of rebuilds."""
    parts = [[i for i in todo if i.kind != "noise"], [i for i in todo if i.kind == "noise"]]
    return [part[k : k + size] for part in parts for k in range(0, len(part), size)]


def _measure(
    chunk: list[Item],
    pool: list[TableConfig],
    limits: DrawLimits,
    protocol: Protocol,
    watch: Stopwatch,
    progress: Progress,
) -> list[journal.Line]:
    """One round builds and times each sample of the chunk once, in another order each time."""
    places = [
        [item.index] if item.kind == "single" else draw_set(pool, item.index, limits)
        for item in chunk
    ]
    tables = [[pool[i] for i in chosen] for chosen in places]
    lookups: list[Lookups] = []
    for item, chosen, of_set in zip(chunk, places, tables, strict=True):
        if not fits(of_set, limits):
            raise CollectError(
                f"{item.kind} {item.index}: does not fit --max-gib {limits.max_gib}; give more memory"
            )
        progress.tick(f"drawing {item.kind} {item.index}")
        lookups.append(draw_lookups(of_set, chosen, limits))
    rounds = protocol.noise_rebuilds if chunk[0].kind == "noise" else protocol.rebuilds
    times: list[list[tuple[float, float]]] = [[] for _ in chunk]
    for turn in range(rounds):
        order = np.random.default_rng([limits.seed, _ROUND, turn]).permutation(len(chunk))
        for k in map(int, order):
            progress.tick(f"{chunk[k].kind} {chunk[k].index}, build {turn + 1} of {rounds}")
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
    """(forward, backward with update) in ms: medians over the iterations of a fresh op."""
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
        took_backward, _ = watch.time_ms(lambda out=pooled: out.backward(gradient))  # type: ignore[misc]
        if iteration >= protocol.warm_ups:
            forward.append(took_forward)
            backward.append(took_backward)
    return statistics.median(forward), statistics.median(backward)


def build(tables: list[TableConfig], device: Any) -> Any:
    """FBGEMM's training op over all tables, weights in the device's own memory and every page of them touched."""
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
    for weights in op.split_embedding_weights():
        weights.fill_(
            WEIGHT
        )  # untouched pages would all be the kernel's one page of zeros, and cached
    return op
