"""Independent verifier: readers of the original file and a check, in rational arithmetic.

It shares only the exception type with `solvers.read` and the search, imports neither numpy nor a
solver, and rounds nothing.
"""

from solvers.exact.check import ExactCheck, SolutionError, check
from solvers.exact.model import ExactLimits, ExactModel
from solvers.exact.source import read_exact

__all__ = [
    "ExactCheck",
    "ExactLimits",
    "ExactModel",
    "SolutionError",
    "check",
    "read_exact",
]
