"""Kind `sharding`: place embedding tables on devices and prove how good the plan is.

The search prices plans by learned models, the oracle (the simulated devices) chooses among the
best of them, and a certificate bounds the model's cost from below.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.sharding.encode.setup import Setup, set_up
from search.domains.sharding.parse.problem import ShardingProblem, parse
from search.domains.sharding.produce.files import produce
from search.domains.sharding.search.fitted import prices_of
from search.domains.sharding.search.models import Models
from search.domains.sharding.search.run import run_search
from search.domains.sharding.solution import ShardingSolution
from search.domains.sharding.verify import verify_plan
from search.model_files import ModelChoice, ModelOffer
from search.stop import StoppingCriterion
from search.types import Extra, OnIncumbent, Produced, SearchOutcome
from trimtab.results import Reason, Termination, Verification
from trimtab.specs.sharding import ShardingSpec


class ShardingDomain:
    """The pipeline's phases for one set of models; `build` gives the shipped models."""

    packages = ("scipy", "safetensors")

    def __init__(self, models: Models) -> None:
        self._shipped = self._models = models
        self._offer = ModelOffer()
        self._choice: ModelChoice | None = None

    def take_models(self, offer: ModelOffer) -> None:
        """Receive the fitted models that the job may use."""
        self._offer = offer

    def parse(
        self, spec: ShardingSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> ShardingProblem:
        """Read the tables and check them. Raises InvalidInput."""
        problem = parse(spec, inputs)
        prices = prices_of(spec, self._offer, self._shipped)
        self._models, self._choice = prices.models, prices.choice
        return replace(problem, measured=prices.measured)

    def encode(self, problem: ShardingProblem) -> Setup:
        """Compute each table's reuse in a batch, its possible shards, and the devices."""
        began = time.monotonic()
        setup = set_up(problem)
        return replace(setup, read_s=time.monotonic() - began)

    def search(
        self,
        problem: ShardingProblem,
        encoding: Setup,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: ShardingSolution | None = None,
    ) -> SearchOutcome:
        """Search for a plan, prove a bound, and plan for other numbers of devices."""
        outcome = run_search(
            problem,
            encoding,
            self._models,
            stop=stop,
            rng=rng,
            on_incumbent=on_incumbent,
            start=start,
        )
        return replace(outcome, summary={**outcome.summary, **self._used()})

    def _used(self) -> dict[str, Any]:
        """Return which model was used and why, for the summary."""
        return {} if self._choice is None else {"model_used": self._choice.summary()}

    def verify(
        self, problem: ShardingProblem, solution: ShardingSolution
    ) -> Verification:
        """Check the plan by counting, and its cost by the oracle from the plan's own rows."""
        return verify_plan(problem, solution.shards, solution.cost_ms)

    def produce(
        self, problem: ShardingProblem, solution: ShardingSolution, workdir: Path
    ) -> list[Produced | Extra]:
        """Write plan.json, plan.svg, and the difference from the current plan."""
        return produce(problem, solution.shards, solution.cost_ms, workdir)

    def keep(self, problem: ShardingProblem, solution: ShardingSolution) -> bytes:
        """Serialise the plan and its cost as JSON."""
        return solution.to_bytes()

    def restore(self, problem: ShardingProblem, data: bytes) -> SearchOutcome:
        """Rebuild a serialised plan. Raises ValueError, KeyError or TypeError."""
        solution = ShardingSolution.from_bytes(data)
        return SearchOutcome(
            termination=Termination(reason=Reason.FEASIBLE, detail="restored"),
            solution=solution,
            objective=solution.cost_ms,
            bound=None,
            summary={
                "tables": len(problem.tables),
                "tables_with_assumed_access": problem.assumed,
                "devices": problem.spec.device_count,
                "shards": len(solution.shards),
                **self._used(),
            },
            weights=self._models.digests,
        )
