"""Measure the all-to-all of pooled embeddings: forward with start offsets of ranks, and backward.

The protocol is that of NeuroShard (Zha et al., MLSys 2023, and its released collector): 10 to 59
tables of random widths, placed by a greedy rule that errs with a random probability, and start
offsets of whole milliseconds. The forward cost of a rank runs from its own start to the end of its
own exchange, so it includes waiting for the slowest; unlike the released collector's, it includes
no barrier. Gloo on CPUs, NCCL on GPUs. The NCCL path has never been run on a GPU; ranks run the
same code on both.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from workers.train.sharding.collect import journal
from workers.train.sharding.collect.errors import CollectError, check_limits
from workers.train.sharding.collect.machine import machine, versions
from workers.train.sharding.collect.progress import Progress, to_stderr
from workers.train.sharding.collect.random_sets import DIMS

FORMAT = "trimtab-all-to-all-costs/1"
BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
MIN_TABLES, MAX_TABLES = 10, 59
MAX_START_MS = 19
RANK_TIMEOUT = timedelta(minutes=2)
_PLACEMENT = 5  # stream of random numbers, apart from those of random_sets.py and tbe.py


@dataclass(frozen=True, kw_only=True)
class Options:
    """Amount and protocol of a measurement."""

    device: str
    ranks: int
    """Processes; under torchrun, WORLD_SIZE overrides it."""
    samples: int
    batch: int
    """Samples of all ranks.

    Rank r looks up all of them for its own tables and gets 1/ranks of them for the dense network.
    """
    seed: int
    threads: int
    warm_ups: int
    repeats: int

    def __post_init__(self) -> None:
        limits = (
            ("ranks", self.ranks, 2, 4_096),
            ("samples", self.samples, 0, 10_000_000),
            ("batch", self.batch, 1, 2**20),
            ("seed", self.seed, 0, 2**63 - 1),
            ("threads", self.threads, 1, 1_024),
            ("warm-ups", self.warm_ups, 0, 1_000),
            ("repeats", self.repeats, 1, 10_000),
        )
        check_limits(limits)
        if self.batch % self.ranks:
            raise CollectError(
                f"--batch: expected a multiple of the {self.ranks} ranks, got {self.batch}"
            )
        if self.device not in BACKENDS:
            raise CollectError(f"--device: expected cpu or cuda, got {self.device!r}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise CollectError(
                "--device cuda: torch sees no GPU here; use a machine with GPUs, or --device cpu"
            )


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One sample: columns and start time of each rank."""

    dims: tuple[int, ...]
    """Sum of the widths of each rank's tables."""
    start_ms: tuple[int, ...]
    """Relative to the earliest rank."""
    tables: int


def draw_placement(index: int, ranks: int, seed: int) -> Placement:
    """Draw sample `index`: tables, their placement, and start offsets; the same on every rank."""
    rng = np.random.default_rng([seed, _PLACEMENT, ranks, index])
    tables = int(rng.integers(MIN_TABLES, MAX_TABLES + 1))
    widths = sorted((int(w) for w in rng.choice(DIMS, tables)), reverse=True)
    careless = rng.random()
    dims = [0] * ranks
    for width in widths:  # widest first; a random rank, or the one with least columns
        rank = (
            int(rng.integers(ranks)) if rng.random() < careless else dims.index(min(dims))
        )
        dims[rank] += width
    spread = int(rng.integers(1, MAX_START_MS + 1))
    start = rng.integers(0, spread, ranks)
    return Placement(
        dims=tuple(dims),
        start_ms=tuple(int(s) for s in start - start.min()),
        tables=tables,
    )


def collect(
    out: Path, options: Options, say: Callable[[str], None] = to_stderr
) -> int | None:
    """Measure the samples that `out` lacks; return how many were added.

    Starts its own processes, unless torchrun has: then each of its processes calls this, and rank 0
    writes; the others return None.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        options = _of_torchrun(options)
        dist.init_process_group(BACKENDS[options.device], timeout=RANK_TIMEOUT)
        try:
            return _take_part(out, options, local=int(os.environ["LOCAL_RANK"]), say=say)
        finally:
            dist.destroy_process_group()
    if options.device == "cuda" and options.ranks > torch.cuda.device_count():
        raise CollectError(
            f"--ranks: expected at most {torch.cuda.device_count()}, one per GPU, "
            f"got {options.ranks}"
        )
    have = _count(out, options)
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(
            _spawned, (f"file://{folder}/meet", out, options, say), nprocs=options.ranks
        )
    return max(0, options.samples - have)


def _of_torchrun(options: Options) -> Options:
    return Options(**asdict(options) | {"ranks": int(os.environ["WORLD_SIZE"])})


def _count(out: Path, options: Options) -> int:
    """Count the samples in the file, before any process starts.

    Errors of the file are then raised by the command itself.
    """
    with journal.opened(out, header(options)) as book:
        return len(book.lines)


def _spawned(
    rank: int, meeting: str, out: Path, options: Options, say: Callable[[str], None]
) -> None:
    dist.init_process_group(
        BACKENDS[options.device],
        init_method=meeting,
        rank=rank,
        world_size=options.ranks,
        timeout=RANK_TIMEOUT,
    )
    try:
        _take_part(out, options, local=rank, say=say)
    finally:
        dist.destroy_process_group()


def header(options: Options) -> journal.Line:
    """Return the data that all samples share; the number of samples is not part of it."""
    return {
        "kind": "run",
        "format": FORMAT,
        "protocol": {k: v for k, v in asdict(options).items() if k != "samples"}
        | {"backend": BACKENDS[options.device], "element_bytes": 4},
        "machine": machine(options.device),
        "versions": versions(),
    }


def _take_part(
    out: Path, options: Options, *, local: int, say: Callable[[str], None]
) -> int | None:
    """Run one rank: all draw the same samples, rank 0 writes."""
    torch.set_num_threads(options.threads)
    device = (
        torch.device("cuda", local) if options.device == "cuda" else torch.device("cpu")
    )
    if options.device == "cuda":
        torch.cuda.set_device(device)
    rank = dist.get_rank()
    with ExitStack() as stack:
        book = (
            stack.enter_context(journal.opened(out, header(options)))
            if rank == 0
            else None
        )
        first = torch.tensor([len(book.lines) if book else 0], device=device)
        dist.broadcast(first, 0)
        begin = int(first)
        progress = Progress(total=options.samples, done=begin, say=say)
        for index in range(begin, options.samples):
            placement = draw_placement(index, options.ranks, options.seed)
            forward = [
                _forward_ms(rank, placement, options, device)
                for _ in _iterations(options)
            ]
            backward = [
                _backward_ms(rank, placement, options, device)
                for _ in _iterations(options)
            ]
            mine = [statistics.median(t[options.warm_ups :]) for t in (forward, backward)]
            of_ranks = [
                torch.empty(2, dtype=torch.float64, device=device)
                for _ in range(options.ranks)
            ]
            dist.all_gather(
                of_ranks, torch.tensor(mine, dtype=torch.float64, device=device)
            )
            if book is not None:
                book.append(
                    _line(index, placement, *torch.stack(of_ranks, dim=1).tolist())
                )
                progress.done += 1
                progress.tick(f"sample {index}")
    return None if book is None else max(0, options.samples - begin)


def _iterations(options: Options) -> range:
    return range(options.warm_ups + options.repeats)


def _line(
    index: int, placement: Placement, forward: list[float], backward: list[float]
) -> journal.Line:
    return {
        "kind": "exchange",
        "index": index,
        "tables": placement.tables,
        "dims": list(placement.dims),
        "start_ms": list(placement.start_ms),
        "forward_ms": [round(t, 4) for t in forward],
        "backward_ms": [round(t, 4) for t in backward],
    }


def forward_splits(
    rank: int, dims: tuple[int, ...], batch: int
) -> tuple[list[int], list[int]]:
    """Return the elements that `rank` sends to and receives from each rank.

    It sends its columns of their samples and receives their columns of its own. The backward pass
    is the transpose: swap the two.
    """
    part = batch // len(dims)
    return [part * dims[rank]] * len(dims), [part * d for d in dims]


def _forward_ms(rank: int, placement: Placement, options: Options, device: Any) -> float:
    sent, received = forward_splits(rank, placement.dims, options.batch)
    source, target = _buffers(sent, received, device)
    _synchronise(device)
    time.sleep(placement.start_ms[rank] / 1e3)
    start = time.perf_counter()  # after the sleep, which takes longer than requested
    dist.all_to_all_single(target, source, received, sent)
    _wait(device)
    return (time.perf_counter() - start) * 1e3


def _backward_ms(rank: int, placement: Placement, options: Options, device: Any) -> float:
    received, sent = forward_splits(rank, placement.dims, options.batch)
    source, target = _buffers(sent, received, device)
    _synchronise(device)
    start = time.perf_counter()
    dist.all_to_all_single(target, source, received, sent)
    _wait(device)
    return (time.perf_counter() - start) * 1e3


def _buffers(sent: list[int], received: list[int], device: Any) -> tuple[Any, Any]:
    """Make buffers and touch them: a page's first write would count as communication."""
    return torch.full((sum(sent),), 1.0, device=device), torch.full(
        (sum(received),), 0.0, device=device
    )


def _synchronise(device: Any) -> None:
    """Synchronise the ranks, as well as a tiny all-to-all can."""
    _wait(device)
    token = torch.zeros(dist.get_world_size(), device=device)
    dist.all_to_all_single(torch.empty_like(token), token)
    _wait(device)


def _wait(device: Any) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
