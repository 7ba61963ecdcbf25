"""Coarse against fine mesh on many designs: those of the surrogate's shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.field.tables import COARSE_SCALE
from workers.bench.antenna.search import interval
from workers.train.antenna.boards import DEFAULT
from workers.train.antenna.designs import Source
from workers.train.antenna.shards import FINE_SHARE, read_shard, shard_paths

Complex = NDArray[np.complex64]


def run(*, work: Path) -> Iterator[dict[str, Any]]:
    """Yield mean |ΔS11| over 121 frequencies of each origin of designs, with its interval."""
    found: dict[int, list[tuple[float, float]]] = {}
    for path in shard_paths(work, "fine"):
        fine = read_shard(path)
        coarse = read_shard(path.with_name(path.name.replace("fine-", "coarse-")))
        for index, source in enumerate(fine.source.tolist()):
            plain = coarse.curves[FINE_SHARE * index]
            pair = (
                _difference(_shifted(plain), fine.curves[index]),
                _difference(plain, fine.curves[index]),
            )
            found.setdefault(source, []).append(pair)
    for source, pairs in sorted(found.items()):
        shifted, plain = zip(*pairs, strict=True)
        yield {
            "designs_of": Source(source).name.lower(),
            "designs": len(pairs),
            "coarse_fine": float(np.mean(shifted)),
            "coarse_fine_interval": interval(shifted, np.mean),
            "coarse_fine_unshifted": float(np.mean(plain)),
            "coarse_fine_unshifted_interval": interval(plain, np.mean),
        }


def _shifted(curve: Complex) -> Complex:
    """Return a curve of the default board as `compute_coarse_tables` has it, interpolated."""
    known = DEFAULT.frequencies_hz
    return np.asarray(np.interp(COARSE_SCALE * known, known, curve), np.complex64)


def _difference(a: Complex, b: Complex) -> float:
    return float(np.abs(a - b).mean())
