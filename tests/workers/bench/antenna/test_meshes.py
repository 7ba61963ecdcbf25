from pathlib import Path

import pytest

from workers.bench.antenna import meshes
from workers.train.antenna import shards
from workers.train.antenna.boards import DEFAULT


def test_designs_on_both_meshes_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SIZE", 20)
    shards.make_shards(DEFAULT, tmp_path, samples=20, fine=2, seed=0, say=lambda _: None)
    lines = list(meshes.run(work=tmp_path))
    assert sum(line["designs"] for line in lines) == 2
    for line in lines:
        low, high = line["coarse_fine_interval"]
        assert 0.005 < low <= line["coarse_fine"] <= high < 0.2
        assert 0 < line["coarse_scaled_fine"] != line["coarse_fine"]
