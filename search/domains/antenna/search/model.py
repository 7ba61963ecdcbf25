"""The surrogate of a job: chosen by `model`, and used where it was measured to pay."""

from __future__ import annotations

from dataclasses import replace

from cost_models.antenna.facts import BoardFacts, outside
from cost_models.antenna.surrogate import Surrogate, SurrogateRefused, find, shipped
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.samples import BandSamples
from search.model_files import FittedModel, ModelChoice, ModelOffer
from search.types import InvalidInput
from trimtab.model_file import ModelRefused
from trimtab.specs.antenna import MODEL_AUTO, MODEL_NONE, AntennaSpec, SearchMethod

SURROGATE = "surrogate"  # array of a fitted model: the bytes of the surrogate's own file
# `auto` leaves the surrogate out: all neighbours of a design are scored exactly by the coarse
# solver, each at a hundredth of a prediction's cost; random search is the baseline without help.
# `python -m workers.bench antenna surrogate-use` measures it.
_WITHOUT = frozenset({SearchMethod.TABU, SearchMethod.RANDOM})


def choose_model(
    problem: AntennaProblem, samples: BandSamples
) -> tuple[Learned | None, str]:
    """Return the surrogate, and a sentence that says which is used or why none is.

    Raises InvalidInput for a name that is not shipped, or a file that is not a surrogate.
    """
    spec = problem.spec
    if problem.model_file is not None:
        try:
            own = Surrogate.load(problem.model_file)
        except SurrogateRefused as error:
            raise InvalidInput(f"model_file: {error}") from error
        return _checked(problem, samples, own, "model_file")
    if spec.model == MODEL_NONE:
        return None, "none: model is none"
    if spec.model != MODEL_AUTO:
        if spec.model not in shipped():
            names = ", ".join((MODEL_AUTO, MODEL_NONE, *shipped()))
            raise InvalidInput(
                f"model: expected one of {names}, got {spec.model!r}; a file of your own is given "
                "as model_file"
            )
        return _checked(problem, samples, Surrogate.shipped(spec.model), spec.model)
    if spec.search in _WITHOUT:
        why = "exact solves of the coarse solver cost less than predictions"
        return None, f"none: search {spec.search.value} is faster without ({why})"
    if problem.fitted is not None:
        name, content = problem.fitted
        fitted = Surrogate.from_bytes(content, name=name)
        return Learned(fitted, samples, name), name
    model, name = find(board_facts(spec, samples))
    if model is None:
        return None, f"none: {name}"
    return Learned(model, samples, name), name


def choose_fitted(
    problem: AntennaProblem, offer: ModelOffer
) -> tuple[AntennaProblem, ModelChoice]:
    """Choose among registered surrogates. Raises InvalidInput for a named one that is refused.

    The problem gets the file: the check of an answer reads problems and must not load a surrogate.
    """

    def misfit(model: FittedModel) -> str:
        spec = problem.spec
        if problem.model_file is not None or spec.model != MODEL_AUTO:
            return "the spec names a surrogate"
        if spec.search in _WITHOUT:
            return f"search {spec.search.value} is faster without a surrogate"
        try:
            content = model.arrays[SURROGATE].tobytes()
            facts = Surrogate.from_bytes(content, name=model.id).facts
        except (KeyError, SurrogateRefused) as error:
            return f"its file is incomplete ({str(error)[:200]})"
        required = facts_for(spec, spec.lowest_hz, spec.highest_hz)
        return outside(facts, required) or ""

    try:
        choice = offer.choose("antenna", misfit)
    except ModelRefused as error:
        raise InvalidInput(f"model: {error}") from None
    if choice.model is None:
        return problem, choice
    content = choice.model.arrays[SURROGATE].tobytes()
    return replace(problem, fitted=(choice.model.id, content)), choice


def board_facts(spec: AntennaSpec, samples: BandSamples) -> BoardFacts:
    """Return what a surrogate must be made for."""
    frequencies_hz = samples.frequencies_hz
    return facts_for(spec, float(frequencies_hz.min()), float(frequencies_hz.max()))


def facts_for(spec: AntennaSpec, f_min_hz: float, f_max_hz: float) -> BoardFacts:
    """Return what a surrogate must be made for, over a range of frequencies."""
    return BoardFacts(
        eps_r=spec.board.eps_r,
        tan_d=spec.board.tan_d,
        height_m=spec.board.height_mm * 1e-3,
        conductivity_s_m=spec.board.conductivity_s_m,
        cells=(spec.grid.cells, spec.grid.cells),
        cell_m=spec.grid.cell_mm * 1e-3,
        feed=spec.feed,
        vias=spec.max_vias,
        f_min_hz=f_min_hz,
        f_max_hz=f_max_hz,
    )


def _checked(
    problem: AntennaProblem, samples: BandSamples, model: Surrogate, name: str
) -> tuple[Learned | None, str]:
    why = outside(model.facts, board_facts(problem.spec, samples))
    if why is not None:
        return None, f"none: {name} is {why}"
    return Learned(model, samples, name), name
