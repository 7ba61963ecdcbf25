"""`python -m workers.bench sharding curve`: error by the number of training sets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.sharding.hardware import PROFILES
from cost_models.sharding.nets import ConvexComputeNet
from cost_models.sharding.problem import TableArrays
from cost_models.weights import load_weights
from trimtab.specs.sharding import Hardware
from workers.bench.sharding.accuracy import pool_rows, set_error

SIZES = (1_000, 3_000, 10_000, 30_000)
EPOCHS = 40


def run(*, seed: int, say: Callable[[str], object]) -> Iterator[dict[str, Any]]:
    """Yield one line for each size; needs torch (make setup-torch).

    The shipped net is the point at 100,000.
    """
    import torch

    from workers.train.sharding.compute import conditioned_compute

    torch.set_num_threads(1)
    for samples in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder)
            conditioned_compute(
                samples=samples,
                epochs=EPOCHS,
                seed=seed,
                member=0,
                work=where / "work",
                out=where,
                say=say,
            )
            net = ConvexComputeNet.of(load_weights("trimtab-compute-0", folder=where))
        yield {"samples_per_profile": samples, "epochs": EPOCHS, **errors(net)}


def errors(net: ConvexComputeNet) -> dict[str, Any]:
    """Return the MAPE by profile on sets of unseen tables."""
    by_profile = {}
    for hardware in Hardware:
        profile = PROFILES[hardware]
        head = net.head(profile)

        def predict(
            arrays: TableArrays,
            table: np.ndarray,
            width: np.ndarray,
            group: np.ndarray,
            groups: int,
            profile: Any = profile,
            head: Any = head,
        ) -> np.ndarray:
            return np.asarray(
                head(pool_rows(net.embed(arrays, table, width, profile), group, groups))
            )

        by_profile[f"mape_{hardware.value}"] = set_error(predict, hardware)["mape"]
    return by_profile
