from typing import Any

import pytest

from workers.bench.antenna import meshes


def test_the_correction_brings_the_coarse_mesh_nearer_to_the_fine_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meshes, "_FREQUENCIES", 13)
    monkeypatch.setattr(meshes, "_A_SEARCH", 8)
    lines: list[dict[str, Any]] = list(meshes.run(boards=["ro3010"], designs=5, seed=0))
    assert {line["designs_of"] for line in lines} >= {"rectangles", "trajectory"}
    assert sum(line["designs"] for line in lines) == 9
    for line in lines:
        low, high = line["coarse_fine_interval"]
        assert 0.005 < low <= line["coarse_fine"] <= high < 0.2
    (plain, after) = (
        sum(line[name] * line["designs"] for line in lines)
        for name in ("coarse_plain_fine", "coarse_fine")
    )
    assert after < 0.8 * plain
