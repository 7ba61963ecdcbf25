"""The GPU script, as far as it runs without a GPU: in Triton's interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from workers.bench.llm import gpu

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(SystemExit, match="expected a CUDA device, got none"):
        gpu.main([])


@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
def test_a_dry_run_checks_every_op_in_every_dtype(tmp_path: Path) -> None:
    out = tmp_path / "gpu.jsonl"
    command = [sys.executable, "-W", "ignore", "-m", "workers.bench.llm.gpu"]
    done = subprocess.run(
        [*command, "--dry-run", "--out", str(out)],
        cwd=ROOT,
        env=os.environ
        | {"TRITON_INTERPRET": "1", "TRIMTAB_KERNELS": "triton", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    parity = [line for line in lines if line["part"] == "parity"]
    assert all(line["passed"] for line in parity)
    assert len({(line["op"], line["dtype"]) for line in parity}) == 3 * 10
    rivals = [line["rival"] for line in lines if line["part"] == "time"]
    assert rivals[0] == "ours"
    assert len(rivals) == 5


def test_the_floor_is_keys_and_values_once() -> None:
    shape = gpu.Shape(name="", sequences=8, kv_heads=8, group=4, size=128, slots=8192)
    # 2 bytes, keys and values.
    assert shape.bytes_read == 2 * 2 * 8 * 8 * 128 * 8192
