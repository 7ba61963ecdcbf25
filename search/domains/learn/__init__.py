"""Kind `learn`: fit a model to a user's own instances, and judge it on instances held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from search.domains.learn.domain import LearnDomain
from search.domains.learn.types import Learner


def build(learners: Mapping[str, Callable[[], Learner]] | None = None) -> LearnDomain:
    """Build the domain; `learners` come from `workers.needs`."""
    return LearnDomain(learners or {})
