"""Fixtures of the search's tests."""

from __future__ import annotations

import pytest

from solvers.llvm.engine import Engine


@pytest.fixture(scope="session")
def defaults() -> dict[str, str]:
    """Level → pipeline of the installed LLVM."""
    with Engine(b"define void @f() {\n  ret void\n}\n") as engine:
        return engine.default_pipelines()
