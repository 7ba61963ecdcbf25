"""trimtab: submit an optimization job, watch it improve, get a verified answer.

    from trimtab import Client, IlpSpec
    job = Client().submit(IlpSpec.from_file("air05.mps.gz"), seconds=60)
    for incumbent in job.incumbents():
        print(incumbent.elapsed_s, incumbent.objective, incumbent.bound)
    result = job.result()

Names are loaded on first use (PEP 562), so that `import trimtab` stays cheap.
"""

from __future__ import annotations

from trimtab import specs as _specs

# As the name of `typing`, whose import takes longer than `trimtab cc` may for a small source.
TYPE_CHECKING = False

__version__ = "0.1.0"

# Name → module that defines it. The specs come from the generated table in trimtab/specs.
_EXPORTS = {
    "AsyncClient": "trimtab.aio",
    "AsyncJob": "trimtab.aio",
    "AsyncPlan": "trimtab._plan_aio",
    "Client": "trimtab.client",
    "Job": "trimtab.client",
    "Plan": "trimtab._plan",
    "Event": "trimtab.results",
    "Incumbent": "trimtab.results",
    "JobState": "trimtab.results",
    "JobView": "trimtab.results",
    "Limit": "trimtab.results",
    "Reason": "trimtab.results",
    "RunResult": "trimtab.results",
    "Termination": "trimtab.results",
    "Verification": "trimtab.results",
    "TextAnswer": "trimtab.text",
    "TrimtabError": "trimtab.errors",
    **dict.fromkeys(_specs.__all__, "trimtab.specs"),
}
__all__ = ["__version__", *sorted(_EXPORTS)]

if TYPE_CHECKING:
    # `X as X` and `*` tell type checkers that the name is exported.
    from trimtab._plan import Plan as Plan
    from trimtab._plan_aio import AsyncPlan as AsyncPlan
    from trimtab.aio import AsyncClient as AsyncClient
    from trimtab.aio import AsyncJob as AsyncJob
    from trimtab.client import Client as Client
    from trimtab.client import Job as Job
    from trimtab.errors import TrimtabError as TrimtabError
    from trimtab.results import Event as Event
    from trimtab.results import Incumbent as Incumbent
    from trimtab.results import JobState as JobState
    from trimtab.results import JobView as JobView
    from trimtab.results import Limit as Limit
    from trimtab.results import Reason as Reason
    from trimtab.results import RunResult as RunResult
    from trimtab.results import Termination as Termination
    from trimtab.results import Verification as Verification
    from trimtab.specs import *
    from trimtab.text import TextAnswer as TextAnswer


def __getattr__(name: str) -> object:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(
            f"module 'trimtab' has no attribute {name!r}; it has {', '.join(sorted(_EXPORTS))}"
        )
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
