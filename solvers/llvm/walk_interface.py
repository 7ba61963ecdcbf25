"""Interface of the two module walkers, `walk.NativeWalker` and `walk_python.PythonWalker`."""

from __future__ import annotations

import ctypes
from array import array
from dataclasses import dataclass
from typing import Protocol


class Api(Protocol):
    """Part of the engine's C API that a walker uses."""

    @property
    def lib(self) -> ctypes.CDLL:
        """libLLVM."""


class ModuleHandle(Protocol):
    """Part of the engine's module that a walker uses. Its context must outlive the walk."""

    @property
    def ref(self) -> int | None:
        """LLVMModuleRef."""

    @property
    def api(self) -> Api:
        """C API that made the module."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Walked:
    """Program graph as rows of int32."""

    nodes: array[int]  # 5 numbers a node, in the order of NodeColumn
    edges: array[int]  # 4 numbers an edge, in the order of EdgeColumn


class Walker(Protocol):
    """Reader of modules."""

    native: bool  # True for walk.c

    def graph(self, module: ModuleHandle) -> Walked:
        """Return the program graph. Raises MemoryError."""

    def counts(self, module: ModuleHandle) -> tuple[list[int], list[int]]:
        """Return counts in the order of `vocabulary.Count`, and instructions by LLVMOpcode.

        Raises MemoryError.
        """
