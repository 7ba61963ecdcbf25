"""A sharding job as read: spec and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cost_models.sharding.fabric import profiles_of
from cost_models.sharding.hardware import HardwareProfile
from cost_models.sharding.problem import TableArrays
from search.domains.sharding.parse.paper_mode import check_paper_mode
from search.types import InvalidInput
from trimtab.specs.sharding import (
    DeviceGroup,
    Hardware,
    Method,
    ShardingSpec,
    Table,
    check_tables,
)


@dataclass(frozen=True, kw_only=True)
class ShardingProblem:
    """The job's own input, from which plans are checked."""

    spec: ShardingSpec
    tables: tuple[Table, ...]
    assumed: int  # tables without access statistics
    # Simulated device that measurements were fitted to, instead of the profile of that name.
    measured: Mapping[Hardware, HardwareProfile] = field(default_factory=dict)

    def profiles(self, groups: Sequence[DeviceGroup]) -> list[HardwareProfile]:
        """Return the profile of each device, a measured one where there is one."""
        return [
            self.measured.get(group.hardware, profile)
            for group, profile in zip(
                (group for group in groups for _ in range(group.count)),
                profiles_of(groups),
                strict=True,
            )
        ]

    @cached_property
    def checked_arrays(self) -> TableArrays:
        """Arrays for check and files, computed once for both and apart from the search's."""
        return TableArrays.of(
            self.tables, batch=self.spec.global_batch, optimizer=self.spec.optimizer
        )


def parse(spec: ShardingSpec, inputs: Mapping[str, Path]) -> ShardingProblem:
    """Read the tables and check them against the constraints. Raises InvalidInput."""
    tables = spec.tables
    if spec.tables_file is not None:
        from search.domains.sharding.parse.tables_file import read_tables

        tables = read_tables(inputs["tables_file"], spec.tables_file.name)
        try:
            check_tables(tables)
            spec.check_constraints(tables)
        except ValueError as error:
            raise InvalidInput(_with_field(str(error))) from error
    if spec.method is Method.NEUROSHARD:
        check_paper_mode(spec, tables)
    return ShardingProblem(
        spec=spec, tables=tables, assumed=sum(t.access is None for t in tables)
    )


def _with_field(fault: str) -> str:
    """Return the fault by its field: that of the file, unless it is one of the constraints."""
    if fault.startswith("constraints."):
        return fault
    return f"tables_file: {fault.removeprefix('tables: ')}"
