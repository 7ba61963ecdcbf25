"""Plans as shards of the wire format, and back."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.encode.shards import from_shards, to_shards
from tests.search.domains.sharding.conftest import Ready
from trimtab.specs.sharding import PlanShard


def halved(small: Ready) -> Plan:
    """Every table in two halves on devices of their own."""
    options, whole = small.setup.items.options, small.setup.items.whole
    option = np.concatenate([options.half[whole], options.rest[whole]])
    device = np.repeat([0, 1], len(whole))
    return Plan.of(option, device, "halves")


def test_shards_cover_every_column_once(small: Ready) -> None:
    shards = to_shards(small.setup, halved(small))
    for table in small.problem.tables:
        own = sorted((s for s in shards if s.table == table.name), key=lambda s: s.offset)
        assert own[0].offset == 0
        assert [s.offset + s.width for s in own] == [own[1].offset, table.dim]


def test_a_round_trip_gives_the_same_plan(small: Ready) -> None:
    plan = halved(small)
    again = from_shards(
        small.setup,
        to_shards(small.setup, plan),
        "again",
    )
    assert again is not None
    assert again.source == "again"
    before = sorted(zip(plan.option, plan.device, strict=True))
    assert sorted(zip(again.option, again.device, strict=True)) == before


def test_shards_of_another_job_are_no_plan(small: Ready) -> None:
    name = small.problem.tables[0].name
    for shard in (
        PlanShard(table="unknown", offset=0, width=4, device=0),
        PlanShard(table=name, offset=0, width=4, device=99),
        PlanShard(table=name, offset=0, width=4096, device=0),
    ):
        assert from_shards(small.setup, (shard,), "x") is None
    assert from_shards(small.setup, (), "x") is None
