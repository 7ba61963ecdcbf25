"""Benchmark file and environment of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from solvers.llvm.environment import make
from solvers.llvm.environment.env import CompilerEnv
from tests.solvers.llvm.environment.modules import LOOP


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "loop.ll"
    path.write_bytes(LOOP)
    return path


@pytest.fixture
def env(file: Path) -> Iterator[CompilerEnv]:
    with make(benchmark=file, reward_space="IrInstructionCount") as made:
        yield made
