"""Executor `ray` under the contract that all executors keep."""

from __future__ import annotations

import pytest

from tests.contracts.executor import ExecutorContract


@pytest.mark.ray
class TestRayExecutor(ExecutorContract):
    """The fixtures `executor` and `runner` are those of this folder: two slots on a cluster of two nodes."""
