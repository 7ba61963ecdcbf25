"""Deadlines of the search and of the proof, so that check and files still fit the budget.

The work after the search grows with the job: the check and the description of a plan read the
tables again, which takes as long as it did when the job was read, on this machine under its
current load. So the time reserved for them is derived from a measurement, not a fixed share.
"""

from __future__ import annotations

from collections.abc import Callable

from search.stop import StoppingCriterion

Stop = Callable[[], bool]

_LEAST_S = 0.2  # reserved for check and files at least, and at most half of short budgets
# Readings of the tables: the check does one, and the machine may get busier.
_CHECKS = 2.0
_PROOF_MODELS = 1.5  # the first bound takes about as long as pricing every option
_PROOF_SHARE = 0.15  # of the time left, for better bounds, at most
_PROOF_MOST_S = 10.0


def never() -> bool:
    """Never stop."""
    return False


class Until:
    """A stop that is true once at most `reserve_s` is left, or when the job must stop."""

    def __init__(self, stop: StoppingCriterion, reserve_s: float) -> None:
        self._stop = stop
        self._reserve_s = reserve_s

    def __call__(self) -> bool:
        """Return whether to end now."""
        return self._stop(None) or self.left_s() <= 0

    def left_s(self) -> float:
        """Return the seconds left; infinite when time is not limited."""
        return self._stop.remaining_s() - self._reserve_s


def seconds_left(stop: Stop) -> float:
    """Return the seconds until `stop` becomes true; infinite when it has no deadline."""
    return max(0.0, stop.left_s()) if isinstance(stop, Until) else float("inf")


def deadlines(
    stop: StoppingCriterion, *, read_s: float, model_s: float
) -> tuple[Until, Until]:
    """Return the deadlines of the search and of the proof.

    read_s: seconds it took to read the job.
    model_s: seconds it took to price its options.
    """
    left = stop.remaining_s()
    check = min(_LEAST_S + _CHECKS * read_s, 0.5 * left)
    proof = min(
        _PROOF_MODELS * model_s + min(_PROOF_SHARE * left, _PROOF_MOST_S),
        0.5 * (left - check),
    )
    return Until(stop, check + proof), Until(stop, check)
