"""The independent verifier: its own readers of the original file, and a check in rational arithmetic.

It shares no code with `solvers.read` or with the search (only the exception type), imports neither numpy nor a solver,
and nothing in it is rounded.
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
