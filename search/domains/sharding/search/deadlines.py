"""How long the search and the proof may take, so that the check and the files of a plan still fit the budget.

What comes after the search grows with the job: the check and the description of a plan read the tables again, which takes
as long as it did when the job was read, on this machine, as busy as it is. So what is kept is measured, not a fixed share.
"""

from __future__ import annotations

from collections.abc import Callable

from search.stop import StoppingCriterion

Stop = Callable[[], bool]

_LEAST_S = (
    0.2  # kept for the check and the files at least, and of short budgets at most half
)
_CHECKS = 2.0  # the check reads the tables again, and the machine may get busier
_PROOF_MODELS = 1.5  # the first bound takes about as long as it took to price every option
_PROOF_SHARE = 0.15  # of the time left, for better bounds, at most
_PROOF_MOST_S = 10.0


class Until:
    """True once no more than `keep_s` is left or the job must stop."""

    def __init__(self, stop: StoppingCriterion, keep_s: float) -> None:
        self._stop = stop
        self._keep_s = keep_s

    def __call__(self) -> bool:
        """Whether to end now."""
        return self._stop(None) or self.left_s() <= 0

    def left_s(self) -> float:
        """Seconds left; infinite when time is no limit."""
        return self._stop.remaining_s() - self._keep_s


def seconds_left(stop: Stop) -> float:
    """Seconds until `stop` says so, infinite when it does not know."""
    return max(0.0, stop.left_s()) if isinstance(stop, Until) else float("inf")


def deadlines(
    stop: StoppingCriterion, *, read_s: float, model_s: float
) -> tuple[Until, Until]:
    """When the search ends, and when the proof ends. The job took `read_s` to read and `model_s` to price its options."""
    left = stop.remaining_s()
    check = min(_LEAST_S + _CHECKS * read_s, 0.5 * left)
    proof = min(
        _PROOF_MODELS * model_s + min(_PROOF_SHARE * left, _PROOF_MOST_S),
        0.5 * (left - check),
    )
    return Until(stop, check + proof), Until(stop, check)
