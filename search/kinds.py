"""KINDS: the table of all kinds of job.

A row names the spec (pydantic alone, safe for the gateway to import) and the builder of the domain
as text `module:function`, which only a worker resolves. Adding a kind is adding a row: see
deploy/docs/changing.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trimtab.specs.antenna import AntennaSpec
from trimtab.specs.common import Spec
from trimtab.specs.compile import CompileSpec
from trimtab.specs.ilp import IlpSpec
from trimtab.specs.learn import LearnSpec
from trimtab.specs.plan import PlanSpec
from trimtab.specs.probe import ProbeSpec
from trimtab.specs.sharding import ShardingSpec


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A row of the table."""

    spec: type[Spec]
    builder: str  # "module:function" → Domain, resolved in the worker's child only
    diagnostic: bool = False  # offered only with the server's setting for it
    baseline: bool = False  # has an answer without a search: search.types.HasBaseline
    needs: tuple[str, ...] = ()  # arguments of the builder: workers.needs.PROVIDERS
    # A lost attempt is continued from its checkpoint, which holds no answer yet.
    resumes: bool = False
    makes_models: bool = False  # its result may be a fitted model, for the registry

    @property
    def name(self) -> str:
        """The name of the kind in requests and results."""
        return self.spec.KIND

    @property
    def module(self) -> str:
        """The module of the builder, which a warm worker imports in advance."""
        return self.builder.partition(":")[0]

    @property
    def spec_class(self) -> str:
        """`module:class` of the spec, as text for a worker's child."""
        return f"{self.spec.__module__}:{self.spec.__qualname__}"


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        row.name: row
        for row in (
            Kind(
                spec=IlpSpec,
                builder="search.domains.ilp:build",
            ),
            Kind(
                spec=ShardingSpec,
                builder="search.domains.sharding:build",
            ),
            Kind(
                spec=CompileSpec,
                builder="search.domains.compile:build",
                baseline=True,
            ),
            Kind(
                spec=AntennaSpec,
                builder="search.domains.antenna:build",
                baseline=True,
            ),
            Kind(
                spec=PlanSpec,
                builder="search.domains.plan:build",
                needs=("text_model",),
            ),
            Kind(
                spec=LearnSpec,
                builder="search.domains.learn:build",
                needs=("learners",),
                resumes=True,
                makes_models=True,
            ),
            Kind(spec=ProbeSpec, builder="search.domains.probe:build", diagnostic=True),
        )
    }
)
