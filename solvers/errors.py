"""What goes wrong with other people's programs and files.

SolversError
 ├─ ModelError         the file or model cannot be read or makes no sense: its author must change it
 ├─ Unsupported        this solver cannot take this model; another may
 └─ SolverFailed       the solver broke on a model that it should have taken
"""

from __future__ import annotations


class SolversError(Exception):
    """Root of everything `solvers` raises on purpose."""


class ModelError(SolversError):
    """A model that cannot be read. The message shows what came, what was wanted and what to do."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        self.line = line  # 1-based line of the fault, where known
        super().__init__(message if line is None else f"line {line}: {message}")


class Unsupported(SolversError):
    """This solver cannot take this model. Never answered by a wrong result."""

    def __init__(self, solver: str, why: str) -> None:
        self.solver = solver
        self.why = why
        super().__init__(f"{solver} cannot take this model: {why}")


class SolverFailed(SolversError):
    """The solver broke: it answered with an error code instead of a result."""
