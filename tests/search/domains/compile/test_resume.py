"""Checkpoint of a program: it comes back with its files, and bad data is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from search.domains.compile.resume import from_bytes, to_bytes
from solvers.llvm.execute import RunCase
from solvers.llvm.pairs import Timing
from tests.search.domains.compile.test_answer import solution

FILES = ("recipe_file", "bitcode", "text", "object")


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    case = RunCase(
        arguments=("-x",), stdin=b"\0in", expected_stdout=b"out", files={"f": b"\xff"}
    )
    timing = Timing(ratio=0.9, low=0.8, high=0.95, pairs=15, ours_s=0.9, baseline_s=1.0)
    answer = replace(solution(tmp_path), cases=((case, 2.5),), timing=timing)
    for name in FILES:
        getattr(answer, name).write_bytes(name.encode())
    return to_bytes(answer)


def test_everything_comes_back(data: bytes, tmp_path: Path) -> None:
    restored = from_bytes(data, tmp_path / "restored")
    for name in FILES:
        path = getattr(restored, name)
        assert path.parent == tmp_path / "restored"
        assert path.read_bytes() == name.encode()
    assert to_bytes(restored) == data


@pytest.mark.parametrize(
    ("field", "value"),
    [("files", {}), ("sizes", {"ir_instructions": "nine"}), ("cases", [["x", 1.0]])],
)
def test_other_shapes_are_refused(
    data: bytes, tmp_path: Path, field: str, value: object
) -> None:
    bad = orjson.dumps(orjson.loads(data) | {field: value})
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_bytes(bad, tmp_path / "restored")
