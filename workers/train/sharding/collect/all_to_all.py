"""Costs of the all-to-all of pooled embeddings: forward with ranks that start apart, and backward.

NeuroShard's protocol (MLSys'23 and its released collector): 10 to 59 tables of random widths, placed by a greedy rule
that errs with a random probability, start offsets of whole milliseconds. The forward cost of a rank runs from its own
start to the end of its own exchange, so it contains waiting for the stragglers; unlike there it contains no barrier.
Gloo on CPUs, NCCL on GPUs. The NCCL path has never been run on a GPU; what ranks do is the same code.
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
from workers.train.sharding.collect.draw import DIMS
from workers.train.sharding.collect.errors import CollectError
from workers.train.sharding.collect.machine import machine, versions
from workers.train.sharding.collect.progress import Progress, to_stderr

FORMAT = "trimtab-all-to-all-costs/1"
BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
MIN_TABLES, MAX_TABLES = 10, 59
MAX_START_MS = 19
RANK_TIMEOUT = timedelta(minutes=2)
_PLACEMENT = 5  # stream of random numbers, beside those of draw.py and tbe.py


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure and how."""

    device: str
    ranks: int
    """Processes; under torchrun its WORLD_SIZE takes their place."""
    samples: int
    batch: int
    """Global: rank r looks up all of it for its own tables and keeps 1/ranks of it for the dense network."""
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
        for name, value, least, most in limits:
            if not least <= value <= most:
                raise CollectError(
                    f"--{name} wants a number from {least} to {most}; {value} came"
                )
        if self.batch % self.ranks:
            raise CollectError(
                f"--batch wants a multiple of the {self.ranks} ranks; {self.batch} came"
            )
        if self.device not in BACKENDS:
            raise CollectError(f"--device wants cpu or cuda; {self.device!r} came")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise CollectError(
                "--device cuda: torch sees no GPU here; take a machine with GPUs, or say --device cpu"
            )


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One sample: what each rank holds and when it starts."""

    dims: tuple[int, ...]
    """Sum of the widths of each rank's tables."""
    start_ms: tuple[int, ...]
    """Relative to the earliest rank."""
    tables: int


def draw_placement(index: int, ranks: int, seed: int) -> Placement:
    """Tables, the random dim-greedy rule, and start offsets of sample `index`; the same on every rank."""
    rng = np.random.default_rng([seed, _PLACEMENT, ranks, index])
    tables = int(rng.integers(MIN_TABLES, MAX_TABLES + 1))
    widths = sorted((int(w) for w in rng.choice(DIMS, tables)), reverse=True)
    careless = rng.random()
    dims = [0] * ranks
    for width in widths:  # widest first; a rank by chance, else the emptiest
        rank = (
            int(rng.integers(ranks)) if rng.random() < careless else dims.index(min(dims))
        )
        dims[rank] += width
    spread = int(rng.integers(1, MAX_START_MS + 1))
    start = rng.integers(0, spread, ranks)
    return Placement(
        dims=tuple(dims), start_ms=tuple(int(s) for s in start - start.min()), tables=tables
    )


def collect(
    out: Path, options: Options, say: Callable[[str], None] = to_stderr
) -> int | None:
    """Measure what `out` does not have yet; how many samples were added, or None on ranks that do not write.

    Starts its own processes, unless torchrun has: then each of its processes calls this, and rank 0 writes.
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
            f"--ranks {options.ranks}: there are {torch.cuda.device_count()} GPUs; NCCL wants one a rank"
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
    """Checks the file before any process is started: its errors are then the command's own."""
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
    """All that samples have in common; how many are wanted is no part of it."""
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
    """What each rank does: all draw the same samples, rank 0 writes."""
    torch.set_num_threads(options.threads)
    device = (
        torch.device("cuda", local) if options.device == "cuda" else torch.device("cpu")
    )
    if options.device == "cuda":
        torch.cuda.set_device(device)
    rank = dist.get_rank()
    with ExitStack() as stack:
        book = (
            stack.enter_context(journal.opened(out, header(options))) if rank == 0 else None
        )
        first = torch.tensor([len(book.lines) if book else 0], device=device)
        dist.broadcast(first, 0)
        begin = int(first)
        progress = Progress(total=options.samples, done=begin, say=say)
        for index in range(begin, options.samples):
            placement = draw_placement(index, options.ranks, options.seed)
            forward = [
                _forward_ms(rank, placement, options, device) for _ in _iterations(options)
            ]
            backward = [
                _backward_ms(rank, placement, options, device) for _ in _iterations(options)
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
                book.append(_line(index, placement, *torch.stack(of_ranks, dim=1).tolist()))
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
    """Elements that `rank` (sends to, receives from) each rank: its columns of their samples, theirs of its own.

    The backward pass is the transpose: swap the two.
    """
    part = batch // len(dims)
    return [part * dims[rank]] * len(dims), [part * d for d in dims]


def _forward_ms(rank: int, placement: Placement, options: Options, device: Any) -> float:
    sent, received = forward_splits(rank, placement.dims, options.batch)
    source, target = _buffers(sent, received, device)
    _meet(device)
    time.sleep(placement.start_ms[rank] / 1e3)
    start = time.perf_counter()  # after the sleep: it is longer than asked
    dist.all_to_all_single(target, source, received, sent)
    _wait(device)
    return (time.perf_counter() - start) * 1e3


def _backward_ms(rank: int, placement: Placement, options: Options, device: Any) -> float:
    received, sent = forward_splits(rank, placement.dims, options.batch)
    source, target = _buffers(sent, received, device)
    _meet(device)
    start = time.perf_counter()
    dist.all_to_all_single(target, source, received, sent)
    _wait(device)
    return (time.perf_counter() - start) * 1e3


def _buffers(sent: list[int], received: list[int], device: Any) -> tuple[Any, Any]:
    """Touched before the clock runs: a fresh page's first write would count as communication."""
    return torch.full((sum(sent),), 1.0, device=device), torch.full(
        (sum(received),), 0.0, device=device
    )


def _meet(device: Any) -> None:
    """All ranks leave together, as well as a tiny all-to-all can make them."""
    _wait(device)
    token = torch.zeros(dist.get_world_size(), device=device)
    dist.all_to_all_single(torch.empty_like(token), token)
    _wait(device)


def _wait(device: Any) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
