"""Published weights: the manifest, and files that the loader refuses."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from cost_models import weights
from cost_models.weights import WeightsRefused, load_weights, manifest


def test_every_file_has_its_row_and_every_row_its_file() -> None:
    rows = manifest()
    files = {
        p.name
        for p in weights.FOLDER.iterdir()
        if p.suffix == ".safetensors" or p.stem.startswith("compile-")
    }
    assert {name.partition(".")[0] for name in files} == set(rows)
    for file in files:
        name, row = file.partition(".")[0], rows[file.partition(".")[0]]
        assert (
            hashlib.sha256((weights.FOLDER / file).read_bytes()).hexdigest()
            == row["sha256"]
        )
        assert file.endswith(".json") or load_weights(name), name
        assert {"sha256", "command", "data_sha256", "metric", "licence", "date"} <= set(
            row
        )
        assert (weights.FOLDER / file).stat().st_size < 4 * 2**20


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
