"""The wire contract of what can be asked: one spec model for each kind, one envelope for all."""

from trimtab.specs.common import ArtifactRef, Budget, JobRequest, Spec, request_model
from trimtab.specs.compile import CompileSpec
from trimtab.specs.ilp import IlpSpec
from trimtab.specs.probe import ProbeSpec

__all__ = [
    "ArtifactRef",
    "Budget",
    "CompileSpec",
    "IlpSpec",
    "JobRequest",
    "ProbeSpec",
    "Spec",
    "request_model",
]
