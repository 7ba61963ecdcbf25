"""`CompilerEnv` as a `PassEnvironment`."""

from __future__ import annotations

import inspect

from solvers.llvm.environment.env import CompilerEnv
from solvers.llvm.environment.protocol import PassEnvironment
from tests.solvers.llvm.environment.contract import PassEnvironmentContract


class TestContract(PassEnvironmentContract):
    """Ours keeps the contract."""


def test_methods_take_the_protocols_parameters() -> None:
    for name in ("reset", "step", "multistep", "fork", "commandline", "close"):
        required = inspect.signature(getattr(PassEnvironment, name)).parameters
        assert set(required) <= set(
            inspect.signature(getattr(CompilerEnv, name)).parameters
        )
