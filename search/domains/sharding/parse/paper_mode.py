"""Check that a job is in the setting of NeuroShard's published networks."""

from __future__ import annotations

from collections.abc import Sequence

from search.types import InvalidInput
from trimtab.specs.sharding import ShardingSpec, Table

PAPER_BATCH = 65_536
PAPER_DEVICES = (4, 8)


def paper_mode_faults(spec: ShardingSpec, tables: Sequence[Table]) -> list[str]:
    """Return the reasons why the published networks do not apply to a job; empty when they do."""
    rules = spec.constraints
    counts = " or ".join(map(str, PAPER_DEVICES))
    one_node = (None, spec.device_count)
    faults = {
        f"devices: expected {counts}, got {spec.device_count}": (
            spec.device_count not in PAPER_DEVICES
        ),
        "devices: expected one kind of hardware, got several": (
            len({g.hardware for g in spec.devices}) > 1
        ),
        f"global_batch: expected {PAPER_BATCH}, got {spec.global_batch}": (
            spec.global_batch != PAPER_BATCH
        ),
        "fabric.devices_per_node: expected one node, got several": (
            spec.fabric.devices_per_node not in one_node
        ),
        "constraints: expected no pin, together or current_plan, got some": bool(
            rules.pin or rules.together or rules.current_plan
        ),
        "tables: expected one feature per table, got several": any(
            t.features > 1 for t in tables
        ),
    }
    return [fault for fault, present in faults.items() if present]


def check_paper_mode(spec: ShardingSpec, tables: Sequence[Table]) -> None:
    """Raise InvalidInput when the published networks do not apply."""
    if faults := paper_mode_faults(spec, tables):
        raise InvalidInput(
            "method 'neuroshard' uses the published networks, which were trained for one setting: "
            + "; ".join(faults)
            + ". Change the job, or use method 'trimtab'"
        )
