"""Coarse against fine mesh on many designs: those of the surrogate's shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from workers.bench.antenna.search import interval
from workers.train.antenna.designs import Source
from workers.train.antenna.shards import FINE_SHARE, read_shard, shard_paths


def run(*, work: Path) -> Iterator[dict[str, Any]]:
    """Yield mean |ΔS11| over 121 frequencies of each origin of designs, with its interval."""
    found: dict[int, list[float]] = {}
    for path in shard_paths(work, "fine"):
        fine = read_shard(path)
        coarse = read_shard(path.with_name(path.name.replace("fine-", "coarse-")))
        for index, source in enumerate(fine.source.tolist()):
            change = fine.curves[index] - coarse.curves[FINE_SHARE * index]
            found.setdefault(source, []).append(float(np.abs(change).mean()))
    for source, values in sorted(found.items()):
        yield {
            "designs_of": Source(source).name.lower(),
            "designs": len(values),
            "coarse_fine": float(np.mean(values)),
            "coarse_fine_interval": interval(values, np.mean),
        }
