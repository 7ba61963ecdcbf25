"""Types shared by the fuzzers: finding, outcome, and the signature of a fuzzer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np


class Fault(StrEnum):
    """Kinds of disagreement. Any of them is a bug in trimtab or in the fuzzer."""

    WRONG = "wrong"  # a valid or proved answer that the peer contradicts
    LOST = "lost"  # a verified answer exists and the run ended without one
    REFUSED = "refused"  # an input that both peers accept was refused
    CRASHED = "crashed"  # an unexplained error


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One disagreement, with everything needed to repeat it."""

    fault: Fault
    detail: str
    case: Mapping[str, Any] = field(default_factory=dict)  # the input, JSON-serialisable


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of one case: a label to count by, for example "optimal", and a finding, if any."""

    label: str
    finding: Finding | None = None


CheckCase = Callable[[int, np.random.Generator], Outcome]
"""`check(index, rng)` draws one case from `rng`, runs it, and compares.

Equal `rng` state gives an equal case.
"""
