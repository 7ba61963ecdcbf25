"""Refusals name the supported values and the remedy, for Python and JSON alike."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.cases.sharding.jobs import devices, run, spec_of, tables
from trimtab.errors import SpecError
from trimtab.faults import faults_of
from trimtab.specs.sharding import (
    DeviceGroup,
    MemoryModel,
    Optimizer,
    ShardingSpec,
    Table,
)


def body(place: str, field: str, value: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "tables": tables(2),
        "devices": devices(2),
        "fabric": {},
        "constraints": {},
    }
    spec = copy.deepcopy(spec)
    {"": spec, "table": spec["tables"][1], "device": spec["devices"][0]}.get(
        place, spec.get(place)
    )[field] = value
    return spec


CASES = [
    (
        "",
        "sharding_types",
        ["row_wise"],
        "sharding_types",
        ["table_wise", "column_wise", "row_wise", "memory_gib"],
    ),
    (
        "table",
        "sharding_type",
        "data_parallel",
        "tables.1.sharding_type",
        ["data_parallel", "leave a table"],
    ),
    (
        "table",
        "compute_kernel",
        "fused_uvm_caching",
        "tables.1.compute_kernel",
        ["`fused` kernel", "fused_uvm_caching"],
    ),
    (
        "constraints",
        "compute_kernels",
        ["dense"],
        "constraints.compute_kernels",
        ["`fused` kernel"],
    ),
    (
        "device",
        "ddr_gib",
        512,
        "devices.0.ddr_gib",
        ["devices.memory_gib", "host memory", "count, memory_gib or hardware"],
    ),
    ("device", "hbm_cap", 80, "devices.0.hbm_cap", ["devices.memory_gib"]),
    (
        "device",
        "hardware",
        "h200",
        "devices.0.hardware",
        ["one of 'v100', 'a100' or 'h100'", "h100 with memory_gib 141"],
    ),
    (
        "device",
        "hardware",
        "mi300x",
        "devices.0.hardware",
        ["one of 'v100', 'a100' or 'h100'", "fabric.intra_gb_s"],
    ),
    (
        "table",
        "dtype",
        "int8",
        "tables.1.dtype",
        ["'fp32', 'fp16' or 'bf16'", "quantize"],
    ),
    (
        "",
        "optimizer",
        "lamb",
        "optimizer",
        ["'sgd', 'rowwise_adagrad', 'adagrad' or 'adam'", "8 bytes per element"],
    ),
    ("", "batch_size", 512, "batch_size", ["global_batch"]),
    ("", "world_size", 8, "world_size", ["devices"]),
    ("table", "embedding_dim", 64, "tables.1.embedding_dim", ["give dim"]),
    ("table", "feature_names", ["a"], "tables.1.feature_names", ["give features"]),
    ("table", "poolng", 3.0, "tables.1.poolng", ["did you mean 'pooling'?"]),
    (
        "fabric",
        "nvlink",
        300,
        "fabric.nvlink",
        ["devices_per_node, intra_gb_s or inter_gb_s"],
    ),
]


@pytest.mark.parametrize(("place", "field", "value", "path", "words"), CASES)
def test_unsupported_fields_and_values_are_explained(
    place: str, field: str, value: Any, path: str, words: list[str]
) -> None:
    spec = body(place, field, value)
    with pytest.raises(ValidationError) as wire:
        ShardingSpec.model_validate_json(json.dumps(spec))
    with pytest.raises(SpecError) as sdk:
        ShardingSpec(**spec)
    for faults in (faults_of(wire.value), sdk.value.faults):
        assert [fault.path for fault in faults] == [path]
        for word in words:
            assert word in str(faults[0])
        assert "Extra inputs" not in str(faults[0])


def test_other_faults_are_reported_beside_an_explained_one() -> None:
    spec = body("table", "dtype", "int4")
    spec["tables"][1] |= {"rows": -1, "dim": 6, "row_wise": True}
    with pytest.raises(ValidationError) as caught:
        ShardingSpec.model_validate_json(json.dumps(spec))
    faults = {fault.path: str(fault) for fault in faults_of(caught.value)}
    assert set(faults) == {
        "tables.1.rows",
        "tables.1.dim",
        "tables.1.dtype",
        "tables.1.row_wise",
    }
    assert "a value of at least 1, got -1" in faults["tables.1.rows"]
    assert "a multiple of 4, got 6" in faults["tables.1.dim"]


def test_strings_are_accepted_for_enums() -> None:
    group = DeviceGroup(count=16, memory_gib=70, hardware="a100")
    table = Table(name="t", rows=10, dim=8, dtype="bf16")
    spec = ShardingSpec(
        tables=[table],
        devices=[group],
        optimizer="adam",
        memory_model="weights",
        method="trimtab",
    )
    assert (spec.optimizer, spec.memory_model) == (Optimizer.ADAM, MemoryModel.WEIGHTS)
    assert table.dtype.bytes == 2


class TestTooLarge:
    """Each advised remedy is tried."""

    def test_the_reported_table(self, tmp_path: Path) -> None:
        spec = spec_of("rows_2e9_refused")
        with pytest.raises(ValidationError) as caught:
            ShardingSpec.model_validate_json(json.dumps(spec))
        message = str(caught.value)
        for word in (
            "'uid'",
            "29.8 GiB",
            "fp16 or bf16",
            "row-wise",
            "at least 29.9 GiB",
        ):
            assert word in message
        assert "min_shard_dim" not in message, "it is the smallest already"
        half = copy.deepcopy(spec)
        half["tables"][0]["dtype"] = "bf16"
        larger = {**copy.deepcopy(spec), "devices": devices(8, 29.9)}
        for name, remedied in (("half", half), ("larger", larger)):
            result, plan = run(remedied, tmp_path / name)
            assert plan is not None, result.termination
            assert result.verification.status.value == "valid"

    @pytest.mark.parametrize(
        ("rules", "dtype", "memory_gib", "advised", "not_advised"),
        [
            (
                {"min_shard_dim": 32},
                "fp32",
                2.0,
                "smaller constraints.min_shard_dim",
                "no_split",
            ),
            ({"no_split": ["t"]}, "fp32", 2.0, "no_split", "min_shard_dim"),
            ({}, "fp16", 0.2, "row-wise", "fp16"),
            ({}, "fp32", 0.3, "fp16 or bf16", "min_shard_dim"),
        ],
    )
    def test_only_what_helps(
        self,
        rules: dict[str, Any],
        dtype: str,
        memory_gib: float,
        advised: str,
        not_advised: str,
    ) -> None:
        table = {"name": "t", "rows": 30_000_000, "dim": 64, "dtype": dtype}
        spec = {
            "tables": [table],
            "devices": devices(40, memory_gib),
            "constraints": rules,
        }
        with pytest.raises(ValidationError) as caught:
            ShardingSpec.model_validate_json(json.dumps(spec))
        message = str(caught.value).split("the largest device has")[1].split("[type")[0]
        assert advised in message
        assert not_advised not in message
