"""Reading a job: tables inline or from a file, checked against the constraints."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.domains.sharding.parse.problem import parse
from search.types import InvalidInput
from trimtab.specs.common import ArtifactRef
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    Method,
    ShardingSpec,
    Table,
    ZipfAccess,
)

DEVICES = (DeviceGroup(count=2, memory_gib=1),)


def uploaded(
    folder: Path, text: str, **more: object
) -> tuple[ShardingSpec, dict[str, Path]]:
    path = folder / "tables.csv"
    path.write_text(text)
    reference = ArtifactRef(digest="sha256:" + "0" * 64, name="tables.csv")
    return ShardingSpec(tables_file=reference, devices=DEVICES, **more), {
        "tables_file": path
    }


def test_tables_without_access_statistics_are_counted() -> None:
    measured = Table(name="a", rows=10, dim=8, access=ZipfAccess(alpha=1, active_rows=5))
    unknown = Table(name="b", rows=10, dim=8)
    problem = parse(ShardingSpec(tables=(measured, unknown), devices=DEVICES), {})
    assert problem.assumed == 1
    assert len(problem.checked_arrays) == 2


def test_tables_of_a_file_are_checked_against_the_constraints(tmp_path: Path) -> None:
    text = "name,rows,dim\na,10,8\nb,10,8\n"
    assert len(parse(*uploaded(tmp_path, text)).tables) == 2
    rules = Constraints(no_split=("missing",))
    with pytest.raises(InvalidInput, match=r"constraints\.no_split.*'missing'"):
        parse(*uploaded(tmp_path, text, constraints=rules))


def test_paper_mode_is_refused_outside_its_setting() -> None:
    spec = ShardingSpec(
        tables=(Table(name="a", rows=10, dim=8),),
        devices=DEVICES,
        method=Method.NEUROSHARD,
    )
    with pytest.raises(InvalidInput, match="expected 4 or 8, got 2"):
        parse(spec, {})
