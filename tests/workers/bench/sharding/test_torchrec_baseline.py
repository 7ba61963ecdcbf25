"""TorchRec's planner as a baseline: the shard widths it is offered."""

from __future__ import annotations

import pytest

from trimtab.specs.sharding import Table
from workers.bench.sharding.torchrec_baseline import plan_with_torchrec, shard_width


@pytest.mark.parametrize(
    ("dim", "rows", "memory", "width"),
    [
        (64, 10, 10**9, 32),  # halves fit
        (
            64,
            1000,
            4 * 1000 * 2 * 8,
            8,
        ),  # two shards of 8 columns are the first pair that fits
        (12, 10, 10**9, 12),  # halves would be no multiple of 4
        (8, 1000, 1, 4),  # nothing fits: the narrowest shard
    ],
)
def test_tables_are_halved_until_two_shards_fit(
    dim: int, rows: int, memory: int, width: int
) -> None:
    table = Table(name="t", rows=rows, dim=dim, pooling=1.0)
    assert shard_width(table, memory) == width


def test_an_unknown_variant_is_refused_with_the_list() -> None:
    pytest.importorskip("torchrec")
    with pytest.raises(ValueError, match="variant: expected one of default, perf"):
        plan_with_torchrec(
            [],
            device_count=1,
            memory_bytes_per_device=1,
            devices_per_node=1,
            global_batch=1,
            variant="best",
        )
