"""trimtab: send an optimization job, watch it improve, get a checked answer.

    from trimtab import Client, IlpSpec
    job = Client().submit(IlpSpec.from_file("air05.mps.gz"), seconds=60)
    for incumbent in job.incumbents():
        print(incumbent.elapsed_s, incumbent.objective, incumbent.bound)
    result = job.result()

Names are loaded on first use (PEP 562), so that `import trimtab` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# name → module that defines it. The one list of what the SDK promises.
_EXPORTS = {
    "AsyncClient": "trimtab.aio",
    "AsyncJob": "trimtab.aio",
    "Client": "trimtab.client",
    "Job": "trimtab.client",
    "ArtifactRef": "trimtab.specs.common",
    "Budget": "trimtab.specs.common",
    "CompileSpec": "trimtab.specs.compile",
    "IlpSpec": "trimtab.specs.ilp",
    "ProbeSpec": "trimtab.specs.probe",
    "Event": "trimtab.results",
    "Incumbent": "trimtab.results",
    "JobState": "trimtab.results",
    "JobView": "trimtab.results",
    "Limit": "trimtab.results",
    "Reason": "trimtab.results",
    "RunResult": "trimtab.results",
    "Termination": "trimtab.results",
    "Verification": "trimtab.results",
    "TrimtabError": "trimtab.errors",
}
__all__ = ["__version__", *sorted(_EXPORTS)]

if TYPE_CHECKING:
    from trimtab.aio import AsyncClient, AsyncJob
    from trimtab.client import Client, Job
    from trimtab.errors import TrimtabError
    from trimtab.results import (
        Event,
        Incumbent,
        JobState,
        JobView,
        Limit,
        Reason,
        RunResult,
        Termination,
        Verification,
    )
    from trimtab.specs.common import ArtifactRef, Budget
    from trimtab.specs.compile import CompileSpec
    from trimtab.specs.ilp import IlpSpec
    from trimtab.specs.probe import ProbeSpec


def __getattr__(name: str) -> Any:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(
            f"module 'trimtab' has no attribute {name!r}; it has {', '.join(sorted(_EXPORTS))}"
        )
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
