# Generated from the files of this folder by deploy/tools/list_specs.py. To change it, run
# `python deploy/tools/list_specs.py`.

"""Spec models, one file per kind, and the envelope that all kinds share.

Names are loaded on first use (PEP 562): a spec costs nothing where it is not used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as the name of `typing`, which is slow to import

SPECS = {
    "antenna": "trimtab.specs.antenna:AntennaSpec",
    "compile": "trimtab.specs.compile:CompileSpec",
    "ilp": "trimtab.specs.ilp:IlpSpec",
    "learn": "trimtab.specs.learn:LearnSpec",
    "plan": "trimtab.specs.plan:PlanSpec",
    "probe": "trimtab.specs.probe:ProbeSpec",
    "sharding": "trimtab.specs.sharding:ShardingSpec",
}
"""Kind → its spec as `module:class`."""

_MODULES = {
    "AntennaSpec": "trimtab.specs.antenna",
    "ArtifactRef": "trimtab.specs.common",
    "Budget": "trimtab.specs.common",
    "CompileSpec": "trimtab.specs.compile",
    "IlpSpec": "trimtab.specs.ilp",
    "JobRequest": "trimtab.specs.common",
    "LearnSpec": "trimtab.specs.learn",
    "PlanSpec": "trimtab.specs.plan",
    "ProbeSpec": "trimtab.specs.probe",
    "ShardingSpec": "trimtab.specs.sharding",
    "Spec": "trimtab.specs.common",
    "request_model": "trimtab.specs.common",
}
__all__ = [
    "AntennaSpec",
    "ArtifactRef",
    "Budget",
    "CompileSpec",
    "IlpSpec",
    "JobRequest",
    "LearnSpec",
    "PlanSpec",
    "ProbeSpec",
    "ShardingSpec",
    "Spec",
    "request_model",
]

if TYPE_CHECKING:
    from typing import Any

    from trimtab.specs.antenna import AntennaSpec
    from trimtab.specs.common import ArtifactRef, Budget, JobRequest, Spec, request_model
    from trimtab.specs.compile import CompileSpec
    from trimtab.specs.ilp import IlpSpec
    from trimtab.specs.learn import LearnSpec
    from trimtab.specs.plan import PlanSpec
    from trimtab.specs.probe import ProbeSpec
    from trimtab.specs.sharding import ShardingSpec


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'trimtab.specs' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
