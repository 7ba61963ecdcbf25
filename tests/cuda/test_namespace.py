"""`cuda` is a namespace package: NVIDIA's `cuda.bindings` lives in a package of the same name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_cuda_has_no_init() -> None:
    assert not (ROOT / "cuda" / "__init__.py").exists()
    assert (ROOT / "cuda" / "kernels" / "__init__.py").exists()


def test_a_sibling_package_stays_importable(tmp_path: Path) -> None:
    sibling = tmp_path / "cuda" / "bindings"
    sibling.mkdir(parents=True)
    (sibling / "__init__.py").write_text("driver = 1\n")
    program = (
        "import cuda.bindings, cuda.kernels.dispatch as d; print(cuda.bindings.driver, d)"
    )
    # In either order on the path.
    for path in (f"{ROOT}{os.pathsep}{tmp_path}", f"{tmp_path}{os.pathsep}{ROOT}"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONPATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 <module 'cuda.kernels.dispatch'")


def test_importing_a_launcher_imports_no_triton() -> None:
    program = (
        "import sys, cuda.kernels.h2o_decode, cuda.kernels.colsum, cuda.kernels.prefill_attn, "
        "cuda.kernels.slot_gather, cuda.kernels.decoder_step; print('triton' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
