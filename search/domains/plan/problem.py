"""The parsed problem of a plan, and its solution: a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from search.domains.plan.types import FileFacts
from search.rest import EndedJob
from trimtab.plans import Outline, Question
from trimtab.specs.plan import PlanSpec


@dataclass(frozen=True, kw_only=True)
class PlanProblem:
    """A goal with its files, and what has happened since the plan was first run."""

    spec: PlanSpec
    files: tuple[FileFacts, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)  # by `Question.about`
    # Questions with their answers, in the order in which they were asked.
    answered: tuple[tuple[Question, str], ...] = ()
    # The approved outline and the jobs of its leaves; None while the outline is to be made.
    approved: Outline | None = None
    # An outline that its owner may have edited, when the plan was re-driven before an approval.
    shown: Outline | None = None
    jobs: Mapping[str, EndedJob] = field(default_factory=dict)
    stop_requested: bool = False
    site: str = ""  # address of the server, for links in the report
