"""Kind `probe`: a run with prescribed behaviour, to measure and test the service itself.

Off unless the server is started with `TRIMTAB_DIAGNOSTIC_KINDS=true`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trimtab.specs.common import Spec


class ProbeSpec(Spec):
    """Reports `steps` incumbents, `step_seconds` apart, then ends as `outcome` says."""

    KIND: ClassVar[str] = "probe"
    OUTPUTS: ClassVar[tuple[str, ...]] = ("probe.txt",)
    SUMMARY: ClassVar[str] = "Diagnostic: a run with known behaviour."

    steps: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """Number of incumbents to report."""
    step_seconds: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Seconds before each incumbent."""
    outcome: Literal["succeed", "invalid", "raise", "crash", "hang", "allocate"] = (
        "succeed"
    )
    """`crash` dies by SIGSEGV, `hang` ignores `stop`, `allocate` allocates up to its limit."""
