"""Arms of suites `goals` and `hostile`: the planner, and what a user would have without it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from search.domains.plan import PlanDomain
from search.domains.plan.choosing.choice import graphs_for
from search.domains.plan.reading.joint.both import learned_reading
from search.domains.plan.reading.read import read_goal as read_by_rules
from search.domains.plan.types import FileFacts, Reading
from search.text_model import TextModel
from trimtab.specs.common import Spec
from workers.corpus.goals.planning import Planner, Plans

_PATIENCE_S = 300.0


def planner(name: str) -> Plans:
    """Return an arm by its name. Raises ValueError."""
    if name not in ARMS:
        raise ValueError(f"arms: expected some of {', '.join(ARMS)}, got {name!r}")
    return ARMS[name]()


@functools.cache
def _embedded() -> TextModel:
    from workers.llm.open import open_model

    model = open_model("embedded")
    model.tokenize("a")  # loads it, so that no goal's time has that in it
    return model


def unseen(file: Path) -> Plans:
    """Return the planner of templates with a role model from a training's folder."""
    from workers.train.plan.role_files import model_in
    from workers.train.plan.roles import planner as planner_with

    return planner_with(model_in(file))


def _learned(
    goal: str,
    files: Sequence[FileFacts],
    *,
    answers: Mapping[str, str] | None = None,
    specs: Mapping[str, type[Spec]],
) -> Reading:
    """Return the reading of the learned graph alone."""
    rules = read_by_rules(goal, files, specs=specs)
    if rules.refused is not None:
        return rules
    found = graphs_for(goal, files, rules, None)
    got = (
        learned_reading(found[0], goal, files, rules, answers or {}, specs)
        if found
        else "no graph was read"
    )
    return Reading(goal=goal, wishes=(), refused=got) if isinstance(got, str) else got


def _keywords() -> Plans:
    from workers.bench.plan.keywords import read_goal

    return Planner(lambda: PlanDomain(read=read_goal))


def _free() -> Plans:
    from workers.bench.plan.free import FreePlanner

    return FreePlanner(_embedded())


ARMS: Mapping[str, Callable[[], Plans]] = MappingProxyType(
    {
        # The product without a language model: both readers, and the choice between them.
        "templates": lambda: Planner(PlanDomain),
        # With candidates of the embedded model; other work on the machine costs none of them, and
        # CPU seconds tell what the limit of the product would leave.
        "embedded": lambda: Planner(
            lambda: PlanDomain(_embedded(), model_s=_PATIENCE_S), budget_s=3 * _PATIENCE_S
        ),
        # Each reader alone; what the learned one cannot read is refused.
        "rules": lambda: Planner(lambda: PlanDomain(read=read_by_rules)),
        "learned": lambda: Planner(lambda: PlanDomain(read=_learned)),
        # Keywords and suffixes in place of the reader.
        "keywords": _keywords,
        # The embedded model writes the plan itself.
        "free": _free,
    }
)
"""Arm → maker of its planner."""
