"""Executor `ray` under the contract that all executors keep."""

from __future__ import annotations

import pytest

from tests.contracts.executor import ExecutorContract


@pytest.mark.ray
class TestRayExecutor(ExecutorContract):
    """`executor` and `runner` are this folder's fixtures: two slots on a cluster of two nodes."""
