"""Fit a neighbourhood policy to a few instances of one family, and judge it on others.

    instances ──starts, runs, experts──▶ states ──contrastive loss──▶ policy ──▶ weights file

Unlike the shipped policy's training the models are the user's own: any linear program, with
continuous variables and equality rows. Instances are known by the hash of their arrays. The policy
begins as the LP difference |x̂ − x_LP|, the order of LB-RELAX, and learns what that lacks: a linear
part first, which a dozen states teach, then messages where there are instances enough
(deploy/docs/design/ilp.md, "A policy for one family").

`fit` resumes: states of complete instances and the training's checkpoint are files in its folder.
All seconds are processor time.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from gnn.policies import out_of_distribution
from solvers.types import MilpModel
from trimtab.specs.ilp import LnsOptions, Neighbourhood
from workers.train.ilp.examples import Example, examples_of
from workers.train.ilp.hindsight import HindsightParams, labelled
from workers.train.ilp.linear import fit_policy
from workers.train.ilp.states import Expert, ExpertParams, State, load, save
from workers.train.ilp.trial import Log, first_solution, run_trial

LEARNED = Neighbourhood.CL_LNS
WEIGHTS = "policy.safetensors"
LEAST_INSTANCES = 2  # with states: one to fit to and one to stop by
_DISTANCE = "distance.json"
_DISTANCE_FROM = 3  # instances that the expert's distance is chosen on
_COLLECT_SHARE = 0.7  # of the time
_START_SHARE = 0.5  # of an instance's time, at most
_RUN_SHARE = 0.5  # of the rest; the experts have the other part
# Below, the experts of an instance find nothing, and the run has their time.
_LEAST_EXPERTS_S = 20.0
_FIRST_SHARE = 0.5  # of a part's time, where the clock ends the stage
_MOST_FACTOR = 4.0  # of an equal share, after instances that gave nothing
_LONGEST_S = 150.0  # of one instance
_SHORTEST_S = 1.0
_VALIDATION_EVERY = 5


class CannotFit(ValueError):
    """No policy can be fitted; the message has the cause and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One step of a fit."""

    stage: str  # collect or fit
    step: int  # from 1
    steps: int
    text: str
    loss: float | None = None
    validation: float | None = None


Report = Callable[[Progress], object]


def _never() -> bool:
    return False


def fit(
    models: Sequence[MilpModel],
    *,
    seconds: float,
    seed: int,
    folder: Path,
    progress: Report,
    stop: Callable[[], bool] = _never,
    clock_s: float = math.inf,
) -> Path:
    """Fit a policy to the models; return its weights file in `folder`.

    seconds: processor time of all stages together. clock_s: seconds of the clock, which beside
    other work end earlier: instances are then searched for less time each, so that all are, and
    time to train is left. Raises CannotFit when fewer than two instances have states to learn from.
    """
    if seconds <= 0:
        raise ValueError(f"seconds: expected a positive number, got {seconds:g}")
    until = time.process_time() + seconds
    pace = _Pace(seconds=_COLLECT_SHARE * seconds, clock_s=_COLLECT_SHARE * clock_s)
    factor = 1.0
    for number, model in enumerate(models):
        path = states_path(folder, model)
        if path.is_file():
            continue
        if stop() or pace.over():
            break
        each_s = pace.share_s(len(models), len(models) - number, factor)
        states = collect(model, each_s, seed=seed, folder=folder, stop=stop)
        if stop():
            break  # its states are not complete
        # Where an instance gave nothing, its time was too short: fewer instances get more each.
        if not states:
            factor = min(_MOST_FACTOR, 2 * factor)
        save(states, path)
        text = f"{len(states)} states of instance {number + 1}"
        progress(Progress(stage="collect", step=number + 1, steps=len(models), text=text))
    fitting, validation, summaries = _read(models, folder)
    arrays = fit_policy(
        fitting,
        validation,
        seed=seed,
        until=until,
        state=folder / "training.safetensors",
        messages=len(models) >= 12,
        report=lambda step, steps, loss, held_out, text: progress(
            Progress(
                stage="fit",
                step=step,
                steps=steps,
                text=text,
                loss=loss,
                validation=held_out,
            )
        ),
        stop=stop,
    )
    described = out_of_distribution.fit({"fitted": np.stack(summaries)})
    path = folder / WEIGHTS
    part = path.with_suffix(".part")
    save_file(
        {k: np.ascontiguousarray(v) for k, v in {**arrays, **described}.items()}, part
    )
    os.replace(part, path)
    return path


class _Pace:
    """Time of a stage in processor seconds that also has to end by the clock."""

    def __init__(self, *, seconds: float, clock_s: float) -> None:
        self._seconds, self._clock_s = seconds, clock_s
        self._began, self._began_cpu = time.monotonic(), time.process_time()

    def over(self) -> bool:
        """Return True once either time is used."""
        used_s = time.process_time() - self._began_cpu
        return used_s >= self._seconds or self._clock_left_s() <= 0

    def share_s(self, parts: int, left: int, factor: float) -> float:
        """Return the processor seconds of the next part, of `parts` in all and `left` to do.

        factor: of an equal share.
        """
        used_s = time.process_time() - self._began_cpu
        share_s = min(factor * self._seconds / parts, self._seconds - used_s)
        if math.isfinite(self._clock_s):
            if used_s < 0.5 * _SHORTEST_S:  # too little to tell how busy the machine is
                share_s *= _FIRST_SHARE
            else:
                clock_s = time.monotonic() - self._began
                left_s = self._clock_left_s() * used_s / clock_s
                share_s = min(share_s, factor * left_s / left, left_s)
        return min(_LONGEST_S, max(_SHORTEST_S, share_s))

    def _clock_left_s(self) -> float:
        return self._clock_s - (time.monotonic() - self._began)


def load_policy(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a weights file that `fit` wrote."""
    return load_file(path)


def key_of(model: MilpModel) -> str:
    """Return the hash of a model's numbers: equal models have equal keys, whatever their names."""
    digest = hashlib.sha256()
    for array in (
        *(model.c, model.col_lower, model.col_upper, model.integrality),
        *(model.indptr, model.indices, model.data, model.row_lower, model.row_upper),
    ):
        digest.update(array.tobytes() + b"|")
    digest.update(repr((model.offset, model.maximize)).encode())
    return digest.hexdigest()


def states_path(folder: Path, model: MilpModel) -> Path:
    """Return the file of an instance's states."""
    return folder / f"states-{key_of(model)[:32]}.npz"


def collect(
    model: MilpModel,
    seconds: float,
    *,
    seed: int,
    folder: Path,
    stop: Callable[[], bool] = _never,
) -> list[State]:
    """Return the states of one instance: a run read backwards, and the expert along its way.

    Nothing is returned for a model without a first solution in time or without integers.
    """
    if not model.integrality.any() or not model.m:
        return []
    rng = np.random.default_rng((seed, 13))
    began = time.process_time()
    start = first_solution(model, seconds=_START_SHARE * seconds, rng=rng, stop=stop)
    if start is None:
        return []
    seconds -= time.process_time() - began
    expert_s = (1 - _RUN_SHARE) * seconds
    if expert_s < _LEAST_EXPERTS_S:
        expert_s = 0.0
    log = run_trial(
        model,
        start,
        words=LnsOptions().neighbourhoods,
        seconds=seconds - expert_s,
        seed=seed,
        stop=stop,
    ).log
    params = HindsightParams(least_negatives=2, states=6, weak_share=0.05)
    states = labelled(log, params, rng, model.integrality)
    if expert_s and not stop():
        states += _expert_states(
            model, log, expert_s, rng=rng, seed=seed, folder=folder, stop=stop
        )
    return states


def _expert_states(
    model: MilpModel,
    log: Log,
    seconds: float,
    *,
    rng: np.random.Generator,
    seed: int,
    folder: Path,
    stop: Callable[[], bool],
) -> list[State]:
    """Return states of the expert at the middle and the last incumbent of a run."""
    chosen = sorted({len(log.incumbents) // 2, len(log.incumbents) - 1})
    each_s = seconds / len(chosen)
    params = ExpertParams(
        expert_s=0.6 * each_s,
        negatives=20,
        sub_mip_s=max(0.3, 0.02 * each_s),
        negatives_s=0.4 * each_s,
    )
    expert, states = Expert(model, params), []
    for index in chosen:
        if stop():
            break
        x = log.incumbents[index][1]
        better = _asked(expert, x, each_s, folder=folder, seed=seed)
        if better:
            state, _ = expert.state(x, better, rng)
            states += [state] if len(state.negatives) else []
    return states


def _asked(
    expert: Expert,
    x: np.ndarray,
    each_s: float,
    *,
    folder: Path,
    seed: int,
) -> list[np.ndarray]:
    """Return the expert's better solutions; the first instances choose its distance."""
    path = folder / _DISTANCE
    distances: list[int] = json.loads(path.read_text()) if path.is_file() else []
    if len(distances) >= _DISTANCE_FROM:
        return expert.better(x, int(np.median(distances)), seed=seed)
    distance, better = expert.distance(x, seed=seed, within_s=0.6 * each_s)
    if better:
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps([*distances, distance]))
        os.replace(part, path)
    return better


def _read(
    models: Sequence[MilpModel], folder: Path
) -> tuple[list[Example], list[Example], list[np.ndarray]]:
    """Return the examples to fit to, those to stop by, and the summaries of the instances."""
    parts: list[list[Example]] = []
    summaries: list[np.ndarray] = []
    for model in models:
        path = states_path(folder, model)
        described, examples = (
            examples_of(model, "fitted", load(path)) if path.is_file() else ([], [])
        )
        summaries += described
        if examples:
            parts.append(examples)
    if len(parts) < LEAST_INSTANCES:
        raise CannotFit(
            f"instances: expected at least {LEAST_INSTANCES} with improvements to learn from, got "
            f"{len(parts)} of {len(models)}; give more time or harder instances"
        )
    held_out = {i for i in range(len(parts)) if i % _VALIDATION_EVERY == 1}
    fitting = [e for i, part in enumerate(parts) if i not in held_out for e in part]
    validation = [e for i in sorted(held_out) for e in parts[i]]
    return fitting, validation, summaries


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Result of one run of the neighbourhood search."""

    objective: float  # minimised
    area: float  # mean distance to the root LP's bound, as a share of the start's
    trace: tuple[tuple[float, float], ...]  # processor seconds, objective


def evaluate(
    model: MilpModel,
    weights: Mapping[str, np.ndarray] | None,
    *,
    seconds: float,
    seed: int,
    start: np.ndarray | None = None,
    bound: float | None = None,
) -> Judgement | None:
    """Run the search from `start` with the policy's arm or (None) with the default arms.

    start: (n,) feasible, for a comparison from a common warm start; a first solution without one.
    bound: of the root LP; without one, distances are to the last objective of this run, which
        compares with no other run. Returns None without a first solution.
    """
    words = LnsOptions().neighbourhoods
    if start is None:
        start = first_solution(
            model, seconds=seconds, rng=np.random.default_rng((seed, 17))
        )
        if start is None:
            return None
    trial = run_trial(
        model,
        start,
        words=words if weights is None else (*words, LEARNED),
        seconds=seconds,
        seed=seed,
        policy=weights,
    )
    trace = trial.log.trace
    floor = trial.objective if bound is None else bound
    return Judgement(
        objective=trial.objective,
        area=area_of(trace, floor, seconds),
        trace=tuple(trace),
    )


def area_of(trace: Sequence[tuple[float, float]], floor: float, seconds: float) -> float:
    """Return the mean of objective − floor over the time, as a share of the first one's.

    The ratio of two areas of one start and one floor is that of their primal integrals to it.
    """
    began = max(trace[0][1] - floor, 1e-12 * max(1.0, abs(floor)))
    points = [(min(at, seconds), objective) for at, objective in trace]
    ends = [*(at for at, _ in points[1:]), seconds]
    total = sum(
        (objective - floor) * (end - at)
        for (at, objective), end in zip(points, ends, strict=True)
    )
    return total / (began * seconds)
