"""Serialised solutions."""

from __future__ import annotations

import pytest

from search.domains.sharding.solution import ShardingSolution
from trimtab.specs.sharding import PlanShard

SOLUTION = ShardingSolution(
    shards=(PlanShard(table="a", offset=0, width=64, device=3),), cost_ms=1.25
)


def test_a_round_trip_gives_the_same_solution() -> None:
    assert ShardingSolution.from_bytes(SOLUTION.to_bytes()) == SOLUTION


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b'{"shards": [{}], "cost_ms": 1}', b'{"shards": [], "cost_ms": null}'],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        ShardingSolution.from_bytes(data)
