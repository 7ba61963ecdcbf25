"""Fitted coreset of a job: whether a registered one covers it."""

from __future__ import annotations

from dataclasses import dataclass

from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.search.fitted import FittedCoreset, read_fitted
from search.model_files import FittedModel, ModelChoice, ModelOffer
from search.types import InvalidInput
from solvers.llvm.install import find_llvm
from trimtab.model_file import ModelRefused
from trimtab.specs.compile import Mode

TARGET = "compile"


@dataclass(frozen=True, kw_only=True)
class ChosenCoreset:
    """Choice of a job among the shipped coreset and fitted ones."""

    choice: ModelChoice
    coreset: FittedCoreset | None  # None: the shipped one


def choose_coreset(problem: CompileProblem, offer: ModelOffer) -> ChosenCoreset:
    """Choose a coreset. Raises InvalidInput for a named model that is refused."""
    try:
        choice = offer.choose(TARGET, lambda model: misfit(problem, model))
    except ModelRefused as error:
        raise InvalidInput(f"model: {error}") from None
    coreset = None if choice.model is None else read_fitted(choice.model.arrays)
    return ChosenCoreset(choice=choice, coreset=coreset)


def misfit(problem: CompileProblem, model: FittedModel) -> str:
    """Return why a model does not cover a job; empty when it does."""
    if problem.timed or problem.spec.mode is Mode.PAPER:
        return "objective run_time and mode paper use no coreset"
    try:
        coreset = read_fitted(model.arrays)
    except ValueError as error:
        return f"its file is incomplete ({str(error)[:200]})"
    if coreset.metric is not problem.metric:
        return f"it was mined for {coreset.metric.value}, not {problem.metric.value}"
    for name, has in (
        ("llvm", find_llvm(problem.target.triple).build_id),
        ("triple", problem.machine.triple),
    ):
        if model.scope.get(name) != has:
            return f"it was mined with {name} {model.scope.get(name)}, not {has}"
    return ""
