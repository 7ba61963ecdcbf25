"""Shards of labelled designs: numpy archives without pickled objects, written whole.

Shard k depends on board, seed and k alone, so shards can be made in any order, by several
processes, and again. A process locks a shard's file beside it while it works; the operating
system releases the lock when the process ends in whatever way.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.field.rational import Rational
from solvers.field.tables import Tables
from workers.train.antenna.boards import TrainingBoard
from workers.train.antenna.designs import FEEDS, Sample, draw
from workers.train.antenna.labels import Label, label
from workers.train.steps import StepError

SIZE = 500  # designs of a coarse shard
FINE_SHARE = 10  # each tenth design of a coarse shard is solved on the fine mesh too
FINE_FEEDS = 8
# Of the labels of each mesh: raise it when the field solver changes them.
SOLVER_VERSIONS = {"coarse": 1, "fine": 2}
_NONE = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class Shard:
    """Labelled designs. Values at the solved frequencies are flat: `first[i]:first[i + 1]`."""

    cells: int
    masks: NDArray[np.uint8]  # (n, ceil(cells²/8)) packed bits
    feeds: NDArray[np.uint8]  # (n, FEEDS, 2), 255 where the metal has fewer cells
    source: NDArray[np.uint8]  # (n,)
    family: NDArray[np.int32]  # (n,)
    first: NDArray[np.int32]  # (n + 1,)
    solved: NDArray[np.int16]  # (total,) numbers of frequencies
    s11: NDArray[np.complex64]  # (total, FEEDS), as solved
    curves: NDArray[np.complex64]  # (n, frequencies), first feed, interpolated
    # JSON: seed, shard, mesh, solver version, hash of the tables' input
    meta: NDArray[np.str_]

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Return one mask, (cells, cells)."""
        bits = np.unpackbits(self.masks[index], count=self.cells**2)
        return bits.reshape(self.cells, self.cells).astype(bool)


def make_shards(
    board: TrainingBoard,
    folder: Path,
    *,
    samples: int,
    fine: int,
    seed: int,
    say: Callable[[str], object],
) -> None:
    """Make the shards that are missing: `samples` coarse designs, then `fine` fine ones.

    Any number of processes may work on the same folder.
    """
    cache = folder / "tables"
    for kind, count, size in (
        ("coarse", samples, SIZE),
        ("fine", fine, SIZE // FINE_SHARE),
    ):
        shards = range(-(-count // size))
        if all(_path(folder, kind, shard).is_file() for shard in shards):
            continue
        tables = board.tables(fine=kind == "fine", cache=cache)
        for shard in shards:
            path = _path(folder, kind, shard)
            with _claim(path) as mine:
                if not mine or path.is_file():
                    continue
                designs = min(size, count - size * shard)
                if kind == "coarse":
                    made = _coarse(board, tables, shard, designs, seed)
                elif not (source := _path(folder, "coarse", shard)).is_file():
                    say(f"fine shard {shard + 1}: another process is at its coarse shard")
                    continue
                else:
                    made = _fine(board, tables, read_shard(source), designs)
                _write(path, made)
                say(f"{kind} shard {shard + 1} of {len(shards)}")


def read_shard(path: Path) -> Shard:
    """Read a shard. Never unpickles. Raises StepError for labels of an older field solver."""
    with np.load(path, allow_pickle=False) as stored:
        arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
    meta = json.loads(str(arrays["meta"]))
    if meta["solver"] != SOLVER_VERSIONS[meta["mesh"]]:
        raise StepError(
            f"{path}: expected labels of solver version {SOLVER_VERSIONS[meta['mesh']]}, got "
            f"{meta['solver']}; delete the file and run `data` again"
        )
    return Shard(**{**arrays, "cells": int(arrays["cells"])})


def shard_paths(folder: Path, kind: str) -> list[Path]:
    """Return the finished shards of a mesh, `coarse` or `fine`, in order."""
    return sorted(folder.glob(f"{kind}-*.npz"))


def write_labelled(
    path: Path, board: TrainingBoard, rows: list[tuple[Sample, Label]], *, seed: int
) -> None:
    """Write designs labelled on the coarse mesh as a shard.

    Families are numbers of their founders within the shard.
    """
    shard = int(path.stem.rpartition("-")[2])
    _write(path, _packed(board, rows, seed=seed, shard=shard, **_mesh("coarse")))


def _mesh(kind: str) -> dict[str, object]:
    return {"mesh": kind, "solver": SOLVER_VERSIONS[kind]}


def _path(folder: Path, kind: str, shard: int) -> Path:
    return folder / f"{kind}-{shard:05d}.npz"


def _coarse(
    board: TrainingBoard, tables: Tables, shard: int, count: int, seed: int
) -> Shard:
    rng = np.random.default_rng([seed, shard])
    rows: list[tuple[Sample, Label]] = []

    def score(sample: Sample) -> Rational:
        made = label(tables, sample.mask, list(sample.feeds), fine=False)
        rows.append((sample, made))
        return made.model

    draw(board, shard, count, rng, score)
    return _packed(board, rows, seed=seed, shard=shard, **_mesh("coarse"))


def _fine(board: TrainingBoard, tables: Tables, coarse: Shard, count: int) -> Shard:
    """Solve every tenth design of a coarse shard again."""
    meta = json.loads(str(coarse.meta))
    rows = []
    for index in range(0, len(coarse.masks), FINE_SHARE)[:count]:
        feeds = [
            (int(i), int(j)) for i, j in coarse.feeds[index][:FINE_FEEDS] if i != _NONE
        ]
        sample = Sample(
            mask=coarse.mask(index),
            feeds=tuple(feeds),
            source=coarse.source[index],
            family=int(coarse.family[index]),
        )
        rows.append((sample, label(tables, sample.mask, feeds, fine=True)))
    return _packed(board, rows, seed=meta["seed"], shard=meta["shard"], **_mesh("fine"))


def _packed(
    board: TrainingBoard, rows: list[tuple[Sample, Label]], **meta: object
) -> Shard:
    feeds = np.full((len(rows), FEEDS, 2), _NONE, np.uint8)
    first = np.cumsum([0, *(len(made.solved) for _, made in rows)])
    s11 = np.full((int(first[-1]), FEEDS), np.nan, np.complex64)
    for number, (sample, made) in enumerate(rows):
        feeds[number, : len(sample.feeds)] = sample.feeds
        s11[first[number] : first[number + 1], : len(sample.feeds)] = made.s11
    described = {**meta, "board": board.digest}
    return Shard(
        cells=board.grid.cells,
        masks=np.array([np.packbits(sample.mask) for sample, _ in rows]),
        feeds=feeds,
        source=np.array([sample.source for sample, _ in rows], np.uint8),
        family=np.array([sample.family for sample, _ in rows], np.int32),
        first=first.astype(np.int32),
        solved=np.concatenate([made.solved for _, made in rows]),
        s11=s11,
        curves=np.array([made.curve for _, made in rows], np.complex64),
        meta=np.array(json.dumps(described)),
    )


def _write(path: Path, shard: Shard) -> None:
    """Write a file of its own and put it in place: a kill leaves no half shard."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **vars(shard))
    os.replace(part, path)


@contextmanager
def _claim(path: Path) -> Iterator[bool]:
    """Lock a shard for this process; False when another one holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_suffix(".lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        lock.unlink(missing_ok=True)
