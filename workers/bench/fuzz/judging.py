"""Outcome of a case whose judge returns a label or raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workers.bench.fuzz.types import Fault, Finding, Outcome

_MOST_DETAIL = 500  # characters


class Disagreement(Exception):
    """A fault that a check detected."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


def judged(case: Mapping[str, Any], judge: Callable[[], str]) -> Outcome:
    """Judge a case: its label, or a finding for a `Disagreement` or any other exception."""
    try:
        return Outcome(label=judge())
    except Disagreement as error:
        return _finding(error.fault, error.fault.value, str(error), case)
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"[:_MOST_DETAIL]
        return _finding(Fault.CRASHED, "crashed", detail, case)


def _finding(fault: Fault, label: str, detail: str, case: Mapping[str, Any]) -> Outcome:
    return Outcome(label=label, finding=Finding(fault=fault, detail=detail, case=case))
