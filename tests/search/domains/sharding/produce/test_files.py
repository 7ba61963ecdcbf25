"""Result files: loads of the devices in plan.json, and the files that decorate it."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.domains.sharding.encode.shards import to_shards
from search.domains.sharding.produce.files import describe, produce
from search.types import Extra
from tests.search.domains.sharding.conftest import Ready
from trimtab.specs.sharding import ShardingPlan


def test_loads_are_those_of_the_oracle(small: Ready) -> None:
    plan = small.random_plan()
    shards = to_shards(small.setup, plan)
    described = describe(small.problem, shards, 1.5)
    step = small.oracle.step(plan)
    assert described.cost_ms == 1.5
    for load in described.devices:
        assert load.compute_ms == pytest.approx(step.compute_ms[load.device])
        assert load.shards == (plan.device == load.device).sum()
        mine = plan.option[plan.device == load.device]
        assert load.memory_bytes == small.setup.items.options.memory[mine].sum()


def test_the_plan_file_reads_back(small: Ready, tmp_path: Path) -> None:
    shards = to_shards(small.setup, small.random_plan())
    plan_file, picture = produce(small.problem, shards, 1.5, tmp_path)
    read = ShardingPlan.model_validate_json(plan_file.path.read_text(), strict=False)
    assert read.shards == shards
    assert isinstance(picture, Extra)
    picture.write(tmp_path / "plan.svg")
    assert (tmp_path / "plan.svg").read_text().startswith("<svg")
