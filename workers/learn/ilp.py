"""Target `ilp`: a policy of the learned arm (CL-LNS), fitted to a family of integer programs.

An instance is a model file. The metric is the distance of the neighbourhood search's incumbents to
the root LP's bound, on average over its time, from a common warm start: with the fitted arm beside
the default ones, against the default arms alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.domains.ilp.encode import encode
from search.domains.ilp.parse import read_isolated
from search.domains.learn.types import (
    FitRun,
    Fitted,
    Instance,
    NothingFitted,
    Point,
    Source,
)
from search.lns.fitted_policy import TARGET, scope_of
from search.model_files import FittedModel, write_model
from search.types import InvalidInput
from solvers.relaxation import Relaxation
from solvers.types import Floats, MilpModel
from trimtab.cards import Compared, Metric
from trimtab.specs.ilp import IlpSpec, LnsOptions
from trimtab.specs.learn import MOST_FILES
from workers.train.ilp.fitting import (
    CannotFit,
    Progress,
    evaluate,
    fit,
    key_of,
    load_policy,
    states_path,
)
from workers.train.ilp.trial import first_solution, run_trial

LEAST_INTEGERS = 20
_SUFFIXES = () if IlpSpec.FILES is None else IlpSpec.FILES.suffixes
_WARM_SHARE, _RUN_SHARE = 0.3, 0.6  # of the time of one measurement
_LEAST_AREA = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class _Common:
    """Parts that both measurements of an instance share."""

    start: Floats | None  # (n,)
    bound: float
    seconds: float


class IlpLearner:
    """`Learner` of the neighbourhood policy. All seconds of the search are processor time."""

    target = TARGET
    metric = Metric(name="distance to the LP bound over time", compared=Compared.RATIO)
    least_instances = 10
    most_sources = MOST_FILES
    judge_share = 0.4
    packages = ("numpy", "scipy", "highspy", "torch")
    labels_from = "the job makes its labels itself"

    def __init__(self) -> None:
        self._common: dict[str, _Common] = {}

    def prepare(
        self,
        sources: Sequence[Source],
        options: Any,
        workdir: Path,
    ) -> list[Instance]:
        """Read every model in a process of its own, as a job of kind `ilp` reads it."""
        saved = workdir / "learn-model.npz"
        instances = []
        for source in sources:
            try:
                read, _ = read_isolated(source.path, "auto", source.name, saved)
            except InvalidInput as error:
                raise InvalidInput(_refusal(source, str(error))) from None
            model = encode(read).model
            _require_searchable(source.name, model)
            instances.append(Instance(key=key_of(model), name=source.name, data=model))
        return instances

    def fit(self, instances: Sequence[Instance], run: FitRun, options: Any) -> Fitted:
        """Collect states and fit the policy; complete instances are checkpointed."""
        torch.set_num_threads(1)
        texts: list[str] = []

        def progress(at: Progress) -> None:
            if at.loss is None:
                run.save()
                return
            texts[:] = [at.text]
            run.report(
                Point(
                    step=at.step,
                    steps=at.steps,
                    loss=at.loss,
                    validation=at.validation,
                    stage=at.stage,
                )
            )

        models = [instance.data for instance in instances]
        seconds = max(1.0, run.remaining_s())
        try:
            path = fit(
                models,
                seconds=seconds,
                clock_s=seconds,
                seed=run.seed,
                folder=run.folder,
                progress=progress,
                stop=run.stop,
            )
        except CannotFit as error:
            if run.stop():
                raise NothingFitted(_searched(models, run)) from None
            raise InvalidInput(str(error)) from None
        arrays = load_policy(path)
        written = run.workdir / "fitted.safetensors"
        write_model(written, arrays, target=TARGET, scope=scope_of(models))
        notes = [text[:1].upper() + text[1:] + "." for text in texts]
        if not all(states_path(run.folder, model).is_file() for model in models):
            notes.append(f"The time was short: {_searched(models, run)}.")
        return Fitted(path=written, notes=tuple(notes))

    def evaluate(
        self, instance: Instance, model: FittedModel | None, *, seed: int, limit_s: float
    ) -> float:
        """Return the mean distance to the LP bound, as a share of the start's."""
        program: MilpModel = instance.data
        common = self._common.get(instance.key)
        if common is None:
            common = self._common[instance.key] = _common(program, seed, limit_s)
        if common.start is None:
            return 1.0
        judged = evaluate(
            program,
            None if model is None else model.arrays,
            seconds=common.seconds,
            seed=seed,
            start=common.start,
            bound=common.bound,
        )
        return 1.0 if judged is None else max(_LEAST_AREA, judged.area)


def _searched(models: Sequence[MilpModel], run: FitRun) -> str:
    done = sum(states_path(run.folder, model).is_file() for model in models)
    return (
        f"{done} of {len(models)} instances to fit were searched for what to learn from before "
        "the time ended; give more"
    )


def _refusal(source: Source, error: str) -> str:
    """Return why a file is not read, by its name: most other files are there by mistake."""
    if source.name.lower().endswith(_SUFFIXES):
        return f"instances: {source.name}: {error.removeprefix(f'{source.name}: ')}"
    return (
        f"instances: {source.name}: expected model files alone ({', '.join(_SUFFIXES)}), got "
        "another file; leave it out"
    )


def _require_searchable(name: str, model: MilpModel) -> None:
    """Raise InvalidInput for a model that the neighbourhood search does not take."""
    integers = int(model.integrality.sum())
    if model.extras is not None:
        raise InvalidInput(
            f"instances: {name}: expected linear models, got one with "
            f"{', '.join(model.beyond_linear)}; the neighbourhood search does not take it"
        )
    if integers < LEAST_INTEGERS or not model.m:
        raise InvalidInput(
            f"instances: {name}: expected at least {LEAST_INTEGERS} integer variables and a row, "
            f"got {integers} and {model.m} rows; the complete solver needs no policy there"
        )


def _common(model: MilpModel, seed: int, limit_s: float) -> _Common:
    """Return start, bound and time of an instance's two measurements."""
    # A busy machine gives less processor time than the clock's: plan with what it gave so far.
    began, began_cpu = time.monotonic(), time.process_time()
    rng = np.random.default_rng((seed, 17))
    start = first_solution(model, seconds=_WARM_SHARE * limit_s, rng=rng)
    root = Relaxation(model).root(time_limit_s=_WARM_SHARE * limit_s)
    elapsed = max(1e-3, time.monotonic() - began)
    ratio = min(1.0, max(0.1, (time.process_time() - began_cpu) / elapsed))
    if start is None:
        return _Common(start=None, bound=0.0, seconds=0.0)
    warm_s = max(0.0, _WARM_SHARE * limit_s - elapsed) * ratio
    if warm_s:
        words = LnsOptions().neighbourhoods
        start = run_trial(model, start, words=words, seconds=warm_s, seed=seed).x
    objective = model.objective(start)
    bound = root.objective if root.optimal else None
    # Without a root LP the learned arm never has a turn, and both runs are alike.
    floor = objective - max(1.0, abs(objective)) if bound is None else bound
    seconds = max(0.5, _RUN_SHARE * limit_s * ratio)
    return _Common(start=start, bound=floor, seconds=seconds)
