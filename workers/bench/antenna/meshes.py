"""Coarse against fine mesh on many designs: those of the surrogate's shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.bench.antenna.agreement import COARSE_SCALE, mean_difference
from workers.bench.antenna.search import interval
from workers.train.antenna.boards import DEFAULT
from workers.train.antenna.designs import Source
from workers.train.antenna.shards import FINE_SHARE, read_shard, shard_paths

Complex = NDArray[np.complex64]


def run(*, work: Path) -> Iterator[dict[str, Any]]:
    """Yield mean |ΔS11| over 121 frequencies of each origin of designs, with its interval."""
    pairs_by_source: dict[int, list[tuple[float, float]]] = {}
    for path in shard_paths(work, "fine"):
        fine = read_shard(path)
        coarse = read_shard(path.with_name(path.name.replace("fine-", "coarse-")))
        for index, source in enumerate(fine.source.tolist()):
            plain = coarse.curves[FINE_SHARE * index]
            pair = (
                mean_difference(plain, fine.curves[index]),
                mean_difference(_scaled(plain), fine.curves[index]),
            )
            pairs_by_source.setdefault(source, []).append(pair)
    for source, pairs in sorted(pairs_by_source.items()):
        plain, scaled = zip(*pairs, strict=True)
        yield {
            "designs_of": Source(source).name.lower(),
            "designs": len(pairs),
            "coarse_fine": float(np.mean(plain)),
            "coarse_fine_interval": interval(plain, np.mean),
            "coarse_scaled_fine": float(np.mean(scaled)),
            "coarse_scaled_fine_interval": interval(scaled, np.mean),
        }


def _scaled(curve: Complex) -> Complex:
    """Return a curve of the default board with its frequencies scaled, interpolated."""
    frequencies_hz = DEFAULT.frequencies_hz
    return np.asarray(
        np.interp(COARSE_SCALE * frequencies_hz, frequencies_hz, curve), np.complex64
    )
