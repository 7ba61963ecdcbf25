"""The check: the original file, read again by code that shares nothing with the search, in rational arithmetic."""

from __future__ import annotations

import math
import threading
from fractions import Fraction
from pathlib import Path

from search.types import InvalidInput
from solvers.compare import refuse_differences
from solvers.errors import ModelError
from solvers.exact import ExactCheck, ExactModel, SolutionError, check, read_exact
from solvers.types import MilpModel
from trimtab.results import Verification, VerificationStatus

METHOD = "rational arithmetic on the original file"


class ExactReading:
    """Reads the file in a thread while the solvers work, so that the check at the end takes no time of its owner's.

    The reading is also held against HiGHS' (solvers.compare): a file that two independent readers understand differently is
    refused as soon as that is known, because no result on it could be trusted.
    """

    def __init__(self, file: Path, file_format: str, model: MilpModel) -> None:
        self._file, self._format, self._searched = file, file_format, model
        self._model: ExactModel | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="exact reading", daemon=True)

    def start(self) -> None:
        """Begin. Only after the last fork: a fork copies no threads."""
        self._thread.start()

    def _read(self) -> None:
        try:
            exact = read_exact(self._file, format=self._format)
            refuse_differences(exact, self._searched)
            self._model = exact
        except Exception as error:  # it is raised again where somebody waits for the model
            self._error = error

    @property
    def fault(self) -> ModelError | None:
        """Why the file is refused, as far as is known now."""
        return self._error if isinstance(self._error, ModelError) else None

    def wait(self) -> None:
        """Until the reading is done; it is done here when it was never started."""
        if self._thread.is_alive():
            self._thread.join()
        elif self._model is None and self._error is None:
            self._read()

    def model(self) -> ExactModel:
        """The model; waits for it. Raises ModelError."""
        self.wait()
        if self._model is None:
            raise self._error or RuntimeError("the exact reader ended without a model or an error")
        return self._model


def verify(reading: ExactReading, values: dict[str, float], *, claimed: float | None) -> Verification:
    """Check `values` (column name → value). Raises InvalidInput when the two readings of the file disagree."""
    try:
        model = reading.model()
    except ModelError as error:
        raise InvalidInput(str(error)) from error
    try:
        found = check(model, values)
    except SolutionError as error:
        return Verification(
            status=VerificationStatus.INVALID, method=METHOD, claimed_objective=claimed, detail=str(error)
        )
    agrees = claimed is None or _close(found.objective, claimed)
    return Verification(
        status=VerificationStatus.VALID if found.feasible and agrees else VerificationStatus.INVALID,
        method=METHOD,
        claimed_objective=claimed,
        objective=_as_float(found.objective),
        objective_exact=_as_text(found.objective),
        max_violation=_as_float(max(found.max_row_violation, found.max_bound_violation)),
        checks={
            "exactly_feasible": found.exactly_feasible,
            "rows": model.m,
            "columns": model.n,
            "violated_rows": found.violated_rows,
            "max_row_violation": _as_float(found.max_row_violation),
            "max_bound_violation": _as_float(found.max_bound_violation),
            "max_rounding_distance": _as_float(found.max_integrality),
            "worst_row": found.worst_row,
            "worst_column": found.worst_column,
        },
        detail=_sentence(found, agrees, claimed),
    )


def _sentence(found: ExactCheck, agrees: bool, claimed: float | None) -> str:
    if not found.feasible:
        where = found.worst_row or found.worst_column or "integrality"
        return f"infeasible: {where} is violated by {_as_float(found.max_violation):.3g}"
    if not agrees:
        return f"the objective is {_as_float(found.objective):.12g}, but {claimed:.12g} was claimed"
    if found.exactly_feasible:
        return "every row, bound and integrality holds exactly"
    return f"holds within 1e-6; the largest violation is {_as_float(found.max_violation):.3g}"


def _close(exact: Fraction, claimed: float) -> bool:
    return math.isfinite(claimed) and abs(exact - Fraction(claimed)) <= Fraction(1, 10**6) * max(
        Fraction(1), abs(exact)
    )


def _as_float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return 1.7976931348623157e308 if value > 0 else -1.7976931348623157e308


def _as_text(value: Fraction, *, most: int = 400) -> str | None:
    text = str(value)
    return text if len(text) <= most else None  # thousands of digits help nobody; the float stands beside it
