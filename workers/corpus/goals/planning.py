"""One goal through the planner, as the pipeline runs it, with files as bytes."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import ValidationError

from search.domains.plan import PlanDomain
from search.rest import Woken
from search.stop import from_budget
from search.types import InvalidInput
from trimtab.errors import SpecError
from trimtab.plans import Outline
from trimtab.specs.plan import PlanSpec
from workers.corpus.goals.judge import Plan

BUDGET_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Result of the planner for a goal in one run."""

    plan: Plan
    memo: Mapping[str, Any] | None
    cpu_s: float
    wall_s: float


class Plans(Protocol):
    """Something that plans goals."""

    def plan(
        self,
        goal: str,
        files: Mapping[str, bytes],
        *,
        memo: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> Planned:
        """Return the first run's plan, or with a memo that of the next run."""
        ...


class Planner:
    """The domain of kind `plan`, called as a worker does it."""

    def __init__(
        self, make: Callable[[], PlanDomain], *, budget_s: float = BUDGET_S
    ) -> None:
        self._make, self._budget_s = make, budget_s

    def plan(
        self,
        goal: str,
        files: Mapping[str, bytes],
        *,
        memo: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> Planned:
        """Return the first run's plan, or with a memo that of the next run."""
        wall, cpu = time.monotonic(), time.process_time()
        try:
            with tempfile.TemporaryDirectory() as folder:
                rest = self._rest(goal, files, Path(folder), memo, seed)
            outline = Outline.model_validate_json(json.dumps(rest["outline"]))
            plan = Plan(outline=outline)
        except (InvalidInput, SpecError, ValidationError) as error:
            rest, plan = None, Plan(outline=None, refusal=str(error))
        return Planned(
            plan=plan,
            memo=rest,
            cpu_s=time.process_time() - cpu,
            wall_s=time.monotonic() - wall,
        )

    def _rest(
        self,
        goal: str,
        files: Mapping[str, bytes],
        folder: Path,
        memo: Mapping[str, Any] | None,
        seed: int,
    ) -> Any:
        references, inputs = {}, {}
        for number, (name, data) in enumerate(files.items()):
            inputs[name] = folder / str(number) / name
            inputs[name].parent.mkdir()
            inputs[name].write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            references[name] = {"digest": f"sha256:{digest}", "name": name}
        domain = self._make()
        spec = PlanSpec.model_validate_json(
            json.dumps({"goal": goal, "files": references})
        )
        problem = domain.parse(spec, inputs, folder)
        if memo is not None:
            problem = domain.wake(problem, Woken(memo=memo))
        outcome = domain.search(
            problem,
            domain.encode(problem),
            from_budget({"seconds": self._budget_s}, threading.Event()),
            np.random.default_rng(seed),
            lambda point, solution=None: None,
        )
        if outcome.rest is None:
            raise ValueError("plan: expected a run that goes to rest, got a report")
        return json.loads(json.dumps(outcome.rest.memo))


def with_answers(memo: Mapping[str, Any], answers: Mapping[str, str]) -> dict[str, Any]:
    """Return a memo whose outline has answers, by id of the question, as its owner gives them."""
    outline = {**memo["outline"], "answers": dict(answers)}
    return {**memo, "outline": outline}
