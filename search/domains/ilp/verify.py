"""The check: the original file, read again by code that shares nothing with the search, in rational arithmetic."""

from __future__ import annotations

import math
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

from solvers.errors import ModelError
from solvers.exact import ExactCheck, ExactModel, check, read_exact
from trimtab.results import Verification, VerificationStatus

METHOD = "rational arithmetic on the original file"


class ExactReading:
    """Reads the file in a thread while the solvers work, so that the check at the end takes no time of its owner's."""

    def __init__(self, file: Path, file_format: str) -> None:
        self._file, self._format = file, file_format
        self._model: ExactModel | None = None
        self._error: ModelError | None = None
        self._thread = threading.Thread(target=self._read, name="exact reading", daemon=True)

    def start(self) -> None:
        """Begin. Only after the last fork: a fork copies no threads."""
        self._thread.start()

    def _read(self) -> None:
        try:
            self._model = read_exact(self._file, format=self._format)
        except ModelError as error:
            self._error = error

    def wait(self) -> None:
        """Until the reading is done; it is done here when it was never started."""
        if self._thread.is_alive():
            self._thread.join()
        elif self._model is None and self._error is None:
            self._read()

    def model(self) -> ExactModel:
        """The model; waits for it. Raises ModelError."""
        self.wait()
        if self._error is not None:
            raise self._error
        if self._model is None:
            raise RuntimeError("the exact reader ended without a model or an error")
        return self._model


def verify(reading: ExactReading, values: dict[str, float], *, claimed: float | None) -> Verification:
    """Check `values` (column name → value). A file the exact reader cannot read is `not_checked`, and says why."""
    try:
        found = check(reading.model(), values)
    except ModelError as error:
        return Verification(
            status=VerificationStatus.NOT_CHECKED,
            method=METHOD,
            claimed_objective=claimed,
            detail=f"the exact reader does not take this file: {error}",
        )
    agrees = claimed is None or _close(found.objective, claimed)
    valid = found.feasible and agrees
    detail = found.detail
    if found.feasible and not agrees:
        detail = f"the objective is {float(found.objective):.12g}, but {claimed:.12g} was claimed"
    return Verification(
        status=VerificationStatus.VALID if valid else VerificationStatus.INVALID,
        method=METHOD,
        claimed_objective=claimed,
        objective=_as_float(found.objective),
        objective_exact=_as_text(found.objective),
        max_violation=_as_float(max(found.max_row_violation, found.max_bound_violation)),
        checks=_checks(found),
        detail=detail,
    )


def _checks(found: ExactCheck) -> dict[str, Any]:
    return {
        "exactly_feasible": found.exactly_feasible,
        "rows": found.checked_rows,
        "columns": found.checked_columns,
        "max_row_violation": _as_float(found.max_row_violation),
        "max_bound_violation": _as_float(found.max_bound_violation),
        "max_rounding_distance": _as_float(found.max_integrality),
        "worst_row": found.worst_row,
        "worst_column": found.worst_column,
    }


def _close(exact: Fraction, claimed: float) -> bool:
    return math.isfinite(claimed) and abs(exact - Fraction(claimed)) <= Fraction(1, 10**6) * max(Fraction(1), abs(exact))


def _as_float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return 1.7976931348623157e308 if value > 0 else -1.7976931348623157e308


def _as_text(value: Fraction, *, most: int = 400) -> str | None:
    text = str(value)
    return text if len(text) <= most else None  # thousands of digits help nobody; the float stands beside it
