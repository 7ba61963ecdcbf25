"""Errors of solvers and model files.

SolversError
 ├─ ModelError         the file or model is unreadable or contradictory: its author must change it
 ├─ Unsupported        this solver cannot take this model; another may
 └─ SolverFailed       the solver broke on a model that it should have taken
"""

from __future__ import annotations


class SolversError(Exception):
    """Root of the errors that `solvers` raises."""


class ModelError(SolversError):
    """A model that cannot be read. The message names expected and received value, and a remedy."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        self.line = line  # 1-based line of the fault, where known
        super().__init__(message if line is None else f"line {line}: {message}")


class Unsupported(SolversError):
    """This solver cannot take this model; there is no result."""

    def __init__(self, solver: str, why: str) -> None:
        self.solver = solver
        self.why = why
        super().__init__(f"{solver} cannot take this model: {why}")


class SolverFailed(SolversError):
    """The solver ended with an error code instead of a result."""
