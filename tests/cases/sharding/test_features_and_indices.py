"""Tables with several features, two-byte types, and the memory of indices."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.sharding.jobs import devices, run, tables
from trimtab.tables import from_records

BATCH = 4096


@pytest.mark.parametrize("features", [1, 2, 8, 12])
def test_columns_exchange_and_memory_are_once_per_feature(
    tmp_path: Path, features: int
) -> None:
    """Each device holds one whole table, so the expected figures are simple."""
    names = tables(2, features=features, pooling=3.0 * features)
    spec = {
        "tables": names,
        "devices": devices(2),
        "global_batch": BATCH,
        "optimizer": "sgd",
        "constraints": {
            "no_split": ["t0", "t1"],
            "pin": [{"table": f"t{i}", "devices": [i]} for i in range(2)],
        },
    }
    result, plan = run(spec, tmp_path)
    assert plan is not None
    assert result.verification.status.value == "valid"
    for load in plan.devices:
        assert load.dim == 64 * features
        weights = 100_000 * 64 * 4
        outputs_and_gradients = 2 * BATCH * features * 64 * 4
        indices_and_offsets = 8 * (BATCH * 3 * features + BATCH * features)
        assert load.memory_bytes == weights + outputs_and_gradients + indices_and_offsets
        sent = BATCH / 2 * 4 * 64 * features  # bytes, fp32
        wire_ms = 1e3 * sent / (300e9 * 0.82)
        latency_ms = 1e3 * (15e-6 + 0.3e-6)
        assert load.backward_ms == pytest.approx(latency_ms + wire_ms, rel=1e-9)


def test_the_reported_case_is_level(tmp_path: Path) -> None:
    """One table with 12 features among 12 tables, on four devices.

    TorchRec's planner gives 384 columns at most.
    """
    names = [
        {"name": "shared", "rows": 10_000, "dim": 64, "features": 12, "pooling": 12.0}
    ]
    names += [{"name": f"t{i}", "rows": 10_000, "dim": 64} for i in range(11)]
    spec = {"tables": names, "devices": devices(4), "fabric": {"intra_gb_s": 5.0}}
    result, plan = run(spec, tmp_path)
    assert plan is not None
    total = 64 * (12 + 11)
    assert sum(load.dim for load in plan.devices) == total
    assert max(load.dim for load in plan.devices) <= 384
    assert result.verification.status.value == "valid"


@pytest.mark.parametrize(("dtype", "size"), [("fp32", 4), ("fp16", 2), ("bf16", 2)])
def test_bytes_of_types(tmp_path: Path, dtype: str, size: int) -> None:
    spec = {
        "tables": tables(1, dtype=dtype),
        "devices": devices(1),
        "memory_model": "weights",
    }
    _, plan = run(spec, tmp_path)
    assert plan is not None
    assert plan.devices[0].memory_bytes == 100_000 * 64 * size


def test_indices_decide_what_fits(tmp_path: Path) -> None:
    """The 2 GiB of indices of a table with few rows and many look-ups do not fit."""
    table = {"name": "t", "rows": 1000, "dim": 16, "pooling": 4096.0}
    spec = {
        "tables": [table],
        "devices": devices(1, 1.5),
        "global_batch": 65_536,
        "constraints": {"no_split": ["t"]},
    }
    result, plan = run(spec, tmp_path / "small")
    assert plan is None
    assert result.termination.reason.value == "infeasible"
    _, plan = run({**spec, "devices": devices(1, 2.2)}, tmp_path / "large")
    assert plan is not None
    assert plan.devices[0].memory_bytes > 65_536 * 4096 * 8


def test_rows_beyond_int32(tmp_path: Path) -> None:
    table = {"name": "t", "rows": 3_000_000_000, "dim": 8, "dtype": "fp16"}
    spec = {"tables": [table], "devices": devices(3, 30.0), "memory_model": "weights"}
    result, plan = run(spec, tmp_path)
    assert plan is not None
    assert result.verification.status.value == "valid"
    assert sum(load.memory_bytes for load in plan.devices) == 3_000_000_000 * 8 * 2


def test_features_come_from_files_too() -> None:
    table = from_records(
        [{"name": "t", "rows": 10, "dim": 8, "features": "3", "dtype": "bf16"}],
        source="x",
    )[0]
    assert (table.features, table.dtype.value) == (3, "bf16")


@pytest.mark.parametrize("nodes", [1, 2])
def test_tables_of_several_features_are_levelled(tmp_path: Path, nodes: int) -> None:
    """Steps of the search count output columns, one per feature.

    Counting the table's own columns made the search alternate between two steps without end.
    """
    names = [
        {
            "name": f"t{i}",
            "rows": 100_000,
            "dim": 64,
            "features": 1 + i % 4,
            "pooling": 1.0 + i % 4,
        }
        for i in range(12)
    ]
    spec = {
        "tables": names,
        "devices": devices(4),
        "fabric": {"devices_per_node": 4 // nodes},
    }
    result, plan = run(spec, tmp_path)
    assert plan is not None
    assert result.summary["certificate"]["gap"] < 0.03
    assert result.summary["search"]["local_steps"] < 2_000
