"""Every cut into multiples of 4 is possible, and infeasible jobs are those where none fits."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from cost_models.sharding.hardware import PROFILES
from cost_models.sharding.problem import Shards, TableArrays
from cost_models.sharding.simulator import compute_ms
from tests.cases.sharding.jobs import case, models, run
from trimtab.results import Reason
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    Hardware,
    MemoryModel,
    Optimizer,
    PlanShard,
    ShardingSpec,
    Table,
    ZipfAccess,
)


@pytest.mark.parametrize("name", ["uneven_100_refused", "uneven_300_refused"])
def test_wide_tables_are_cut_until_they_fit(name: str, tmp_path: Path) -> None:
    spec = case(name, proof_seconds=0.0)
    result, plan = run(spec, tmp_path)
    assert result.termination.reason is Reason.COMPLETED
    assert plan is not None
    assert len([s for s in plan.shards if s.table == spec.tables[0].name]) >= 2
    assert result.summary["certificate"]["lower_bound_ms"] > 0


def test_a_plan_in_use_with_uneven_shards_is_priced_and_improved(tmp_path: Path) -> None:
    spec = case("uneven_100_refused_with_its_plan", proof_seconds=0.0)
    stays, _ = run(spec, tmp_path)
    free = spec.model_copy(
        update={
            "constraints": spec.constraints.model_copy(update={"max_moved_gib": None})
        }
    )
    improved, _ = run(free, tmp_path)
    assert improved.objective < stays.objective * 0.95


def one_table(dim: int, devices: int, share: float, **more: object) -> ShardingSpec:
    """Return a job with a table that needs 1 / share of a device's memory."""
    rows = 1_000_000
    return ShardingSpec(
        tables=(Table(name="a", rows=rows, dim=dim),),
        devices=(
            DeviceGroup(count=devices, memory_gib=share * rows * dim * 4 / 2**30 + 1e-9),
        ),
        memory_model=MemoryModel.WEIGHTS,
        proof_seconds=0.0,
        **more,
    )


@pytest.mark.parametrize("dim", [36, 60, 20, 200, 12, 100, 300, 52, 1028, 4 * 17])
def test_any_width_splits_onto_two_half_devices(dim: int, tmp_path: Path) -> None:
    result, plan = run(one_table(dim, 2, (dim // 8 * 4 + 4) / dim), tmp_path)
    assert result.termination.reason is Reason.COMPLETED
    assert plan is not None
    widths = [s.width for s in plan.shards]
    assert sum(widths) == dim
    assert all(w % 4 == 0 for w in widths)


@pytest.mark.parametrize("dim", [12, 20, 28, 36, 44, 60, 100, 300])
def test_tight_memory_takes_the_only_cut_that_fits(dim: int, tmp_path: Path) -> None:
    units = dim // 4
    widest = -(-units // 3) * 4  # three devices, each with room for a third, rounded up
    result, plan = run(one_table(dim, 3, widest / dim), tmp_path)
    assert result.termination.reason is Reason.COMPLETED
    assert plan is not None
    columns: dict[int, int] = defaultdict(int)
    for shard in plan.shards:
        columns[shard.device] += shard.width
    assert max(columns.values()) <= widest


@pytest.mark.parametrize("dim", [20, 28, 44, 100])
def test_jobs_without_a_cut_that_fits_are_infeasible(dim: int, tmp_path: Path) -> None:
    units = dim // 4
    # One column short of the widest piece that must exist.
    too_narrow = -(-units // 3) * 4 - 1
    result, plan = run(one_table(dim, 3, too_narrow / dim), tmp_path)
    assert result.termination.reason is Reason.INFEASIBLE
    assert plan is None


def test_narrowest_shards_count_for_infeasibility(tmp_path: Path) -> None:
    # 36 + 32 + 32 columns.
    fits = one_table(100, 4, 0.36, constraints=Constraints(min_shard_dim=32))
    assert run(fits, tmp_path)[0].termination.reason is Reason.COMPLETED
    # Three pieces of 33 1/3 columns, or four of 25.
    never = one_table(100, 4, 0.33, constraints=Constraints(min_shard_dim=32))
    result, _ = run(never, tmp_path)
    assert result.termination.reason is Reason.INFEASIBLE
    assert "32" in result.termination.detail


def test_refusals_name_the_narrowest_shard() -> None:
    with pytest.raises(ValueError, match=r"narrowest shard \(4 columns\)"):
        ShardingSpec(
            tables=(Table(name="uid", rows=2_000_000_000, dim=16),),
            devices=(DeviceGroup(count=8, memory_gib=24),),
        )
    with pytest.raises(ValueError, match=r"narrowest shard \(100 columns\)"):
        one_table(100, 4, 0.5, constraints=Constraints(no_split=("a",)))
    with pytest.raises(ValueError, match=r"narrowest shard \(100 columns\)"):
        one_table(100, 4, 0.5, constraints=Constraints(min_shard_dim=64))


def test_predicted_cost_of_odd_widths_lies_between_its_neighbours() -> None:
    """The networks are accurate at every multiple of 4, not only at powers of two."""
    rng = np.random.default_rng(0)
    tables = [
        Table(
            name=f"t{i}",
            rows=int(10 ** rng.uniform(4, 7)),
            dim=128,
            pooling=float(round(10 ** rng.uniform(0, 1.8), 2)),
            access=ZipfAccess(alpha=0.9, active_rows=200_000),
        )
        for i in range(40)
    ]
    arrays = TableArrays.of(tables, batch=65_536, optimizer=Optimizer.ROWWISE_ADAGRAD)
    widths = np.arange(4, 129, 4)
    table, width = np.repeat(np.arange(40), len(widths)), np.tile(widths, 40)
    profile, net = PROFILES[Hardware.A100], models().compute
    predicted = net.head(profile)(net.embed(arrays, table, width, profile)).reshape(
        40, -1
    )
    shards = Shards(
        table=table, width=width, group=np.arange(len(table)), groups=len(table)
    )
    true = compute_ms(arrays, shards, profile).total_ms.reshape(40, -1)
    error = np.abs(predicted / true - 1)
    assert error.mean() < 0.03
    assert error.max() < 0.25
    odd = [k for k, w in enumerate(widths) if w & (w - 1)]
    assert error[:, odd].mean() < error.mean() * 1.2
    assert (np.diff(predicted, axis=1) > -0.03 * predicted[:, 1:]).all()


def test_a_current_plan_narrower_than_allowed_may_stay(tmp_path: Path) -> None:
    spec = one_table(64, 2, 0.6)
    shards = tuple(
        PlanShard(table="a", offset=8 * k, width=8, device=k % 2) for k in range(8)
    )
    rules = Constraints(current_plan=shards, min_shard_dim=16)
    result, plan = run(spec.model_copy(update={"constraints": rules}), tmp_path)
    assert result.termination.reason is Reason.COMPLETED
    assert plan is not None


@pytest.mark.parametrize("seed", range(3))
def test_a_device_has_one_shard_of_a_table(seed: int, tmp_path: Path) -> None:
    """TorchRec 1.9.2 expects shards of one table on one rank to be equally wide; one always is."""
    rng = np.random.default_rng(seed)
    tables = tuple(
        Table(
            name=f"t{i}",
            rows=int(10 ** rng.uniform(4, 6)),
            dim=int(rng.choice([36, 100, 128])),
            pooling=20,
        )
        for i in range(7)
    )
    need = sum(t.rows * t.dim * 4 for t in tables) / 2**30
    spec = ShardingSpec(
        tables=tables,
        devices=(DeviceGroup(count=4, memory_gib=1.05 * need / 4),),
        memory_model=MemoryModel.WEIGHTS,
        proof_seconds=0.0,
    )
    _, plan = run(spec, tmp_path)
    assert plan is not None
    pairs = [(s.table, s.device) for s in plan.shards]
    assert len(pairs) == len(set(pairs))
