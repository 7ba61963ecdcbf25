"""Choice of a fitted policy for the learned arm of one run."""

from __future__ import annotations

from search.lns.fitted_policy import TARGET, damage, misfit
from search.model_files import FittedModel, ModelChoice, ModelOffer
from search.types import InvalidInput
from solvers.types import MilpModel
from trimtab.model_file import ModelRefused


def choose_policy(model: MilpModel, offer: ModelOffer) -> ModelChoice:
    """Choose among the offered policies. Raises InvalidInput for a named one that is refused."""
    try:
        return offer.choose(TARGET, lambda fitted: _misfit(model, fitted))
    except ModelRefused as error:
        raise InvalidInput(f"model: {error}") from None


def _misfit(model: MilpModel, fitted: FittedModel) -> str:
    if lacks := damage(fitted.arrays):
        return f"its file is incomplete ({lacks})"
    try:
        return misfit(fitted.scope, model)
    except (KeyError, TypeError, ValueError) as error:
        return f"its scope is incomplete ({type(error).__name__}: {str(error)[:200]})"
