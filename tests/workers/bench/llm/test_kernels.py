"""The CPU timing of the kernels on tiny cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cuda.kernels.native.library import library
from workers.bench.llm import kernels


@pytest.mark.skipif(library() is None, reason="no C++ compiler here")
def test_every_rival_of_every_case_has_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "STEPS", ((2, 20),))
    monkeypatch.setattr(kernels, "PRODUCTS", {"small": (32, 64)})
    monkeypatch.setattr(kernels, "CHUNKS", (8,))
    monkeypatch.setattr(kernels, "CHUNK", 4)
    monkeypatch.setattr(kernels, "CALL_S", 1e-5)
    out = tmp_path / "kernels.jsonl"
    assert kernels.main(["--rounds", "2", "--out", str(out)]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    rivals: dict[str, list[str]] = {}
    for line in lines:
        rivals.setdefault(line["op"], []).append(line["rival"])
        assert line["quartiles_ms"][0] <= line["cpu_ms"] <= line["quartiles_ms"][1]
    assert rivals["chunk_attn"] == [
        "native",
        "torch with sums",
        "torch SDPA f32, no sums",
    ]
    assert len(rivals["product"]) == 2 * 7
    assert {"torch with scores", "torch SDPA, no scores"} <= set(rivals["h2o_decode"])
