"""Both walkers implement the interface."""

from __future__ import annotations

import inspect

import pytest

from solvers.llvm.walk import NativeWalker
from solvers.llvm.walk_interface import Walker
from solvers.llvm.walk_python import PythonWalker


@pytest.mark.parametrize("implementation", [NativeWalker, PythonWalker])
@pytest.mark.parametrize("name", ["graph", "counts"])
def test_methods_have_the_interfaces_signature(implementation: type, name: str) -> None:
    expected = inspect.signature(getattr(Walker, name))
    assert inspect.signature(getattr(implementation, name)) == expected


def test_exactly_one_walker_is_native() -> None:
    assert [NativeWalker.native, PythonWalker.native] == [True, False]
