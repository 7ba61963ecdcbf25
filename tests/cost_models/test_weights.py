from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cost_models import weights
from cost_models.weights import WeightsRefused, load_weights, manifest


def test_every_file_has_its_row_and_every_row_its_file() -> None:
    rows = manifest()
    files = {p.stem for p in weights.FOLDER.glob("*.safetensors")}
    assert files == set(rows)
    for name, row in rows.items():
        assert load_weights(name), name
        assert {"sha256", "command", "data_sha256", "metric", "licence", "date"} <= set(row)
        assert (weights.FOLDER / f"{name}.safetensors").stat().st_size < 4 * 2**20


def test_a_changed_or_unknown_file_is_refused(tmp_path: Path) -> None:
    name = "trimtab-exchange"
    for file in (f"{name}.safetensors", "MANIFEST.toml"):
        shutil.copy(weights.FOLDER / file, tmp_path)
    assert load_weights(name, folder=tmp_path)
    path = tmp_path / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsRefused, match="sha256"):
        load_weights(name, folder=tmp_path)
    path.unlink()
    with pytest.raises(WeightsRefused, match="missing"):
        load_weights(name, folder=tmp_path)
    with pytest.raises(WeightsRefused, match="no row"):
        load_weights("other", folder=tmp_path)
