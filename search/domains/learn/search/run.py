"""Fit on some instances, judge on the others, and write the card."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from search.domains.learn.problem import LearnProblem, Split, split
from search.domains.learn.search.course import Course, Fitting
from search.domains.learn.state import LearnState, write_folder
from search.domains.learn.types import Instance, NothingFitted
from search.model_files import parse_model, read_bounded
from search.stop import StoppingCriterion
from search.types import OnIncumbent, SearchOutcome
from trimtab.cards import (
    LEAST_HELD_OUT,
    Better,
    CannotJudge,
    Card,
    CardRow,
    Sizes,
    comparisons,
    judged,
    means,
)
from trimtab.model_file import check_header
from trimtab.results import Limit, Reason, Termination

_STATE_FOLDER, _SCRATCH = "learn-state", "learn-scratch"


def run_search(
    problem: LearnProblem,
    *,
    workdir: Path,
    stop: StoppingCriterion,
    rng: np.random.Generator,
    on_incumbent: OnIncumbent,
    start: LearnState | None,
) -> SearchOutcome:
    """Fit, judge and write the card; continue where `start` ended."""
    seed = int(rng.integers(2**53))
    parts = split(problem.instances, share=problem.spec.held_out, seed=seed)
    course = Course(state=start or LearnState(), on_incumbent=on_incumbent)
    try:
        if course.state.model is None:
            _fit(problem, parts, course, workdir=workdir, stop=stop, seed=seed)
            course.report("fitted", now=True)
        _judge(problem, parts, course, stop=stop, seed=seed)
        card = _card(problem, parts, course.state, seed=seed)
    except (CannotJudge, NothingFitted) as error:
        return _without_card(problem, course.state, stop.limit, str(error))
    course.update(replace(course.state, card=card.model_dump(mode="json"), files={}))
    outcome = outcome_of(course.state)
    course.report(f"card: {card.decision.value}", outcome.objective, now=True)
    return outcome


def _fit(
    problem: LearnProblem,
    parts: Split,
    course: Course,
    *,
    workdir: Path,
    stop: StoppingCriterion,
    seed: int,
) -> None:
    learner = problem.learner
    folder, scratch = workdir / _STATE_FOLDER, workdir / _SCRATCH
    write_folder(folder, course.state.files)
    scratch.mkdir(exist_ok=True)
    total_s = stop.remaining_s()
    judge_s = learner.judge_share * total_s if math.isfinite(total_s) else 0.0
    run = Fitting(
        course, seed=seed, folder=folder, workdir=scratch, stop=stop, judge_s=judge_s
    )
    fitted = learner.fit(parts.fit, run, problem.spec.options())
    content = read_bounded(fitted.path)
    check_header(content)
    about = {
        "notes": list(fitted.notes),
        "pretrained": fitted.pretrained,
        "alarms": list(fitted.alarms),
        # Tuples become lists.
        "figures": orjson.loads(orjson.dumps(dict(fitted.figures))),
    }
    course.update(replace(course.state, model=content, fitted=about, files={}))


def _judge(
    problem: LearnProblem,
    parts: Split,
    course: Course,
    *,
    stop: StoppingCriterion,
    seed: int,
) -> None:
    """Measure the held-out instances that are not measured yet, until the time ends."""
    learner = problem.learner
    assert course.state.model is not None
    model = parse_model(course.state.model, id_="the fitted model", target=learner.target)
    order = np.random.default_rng((seed, 3)).permutation(len(parts.held_out))
    left = [
        (n, parts.held_out[i])
        for n, i in enumerate(order.tolist())
        if parts.held_out[i].key not in course.state.rows
    ]
    for done, (n, one) in enumerate(left):
        if stop(None):
            return
        limit_s = stop.remaining_s() / (2 * (len(left) - done))
        pair: dict[str, float] = {}
        # In turns, so that a machine that gets slower favours neither.
        for name in ("shipped", "fitted") if n % 2 == 0 else ("fitted", "shipped"):
            chosen = model if name == "fitted" else None
            value = learner.evaluate(one, chosen, seed=seed + n, limit_s=limit_s)
            pair[name] = float(value)
        row = CardRow(instance=one.name[:200], key=one.key, **pair)
        comparisons([row], learner.metric)
        rows = {**course.state.rows, one.key: (pair["shipped"], pair["fitted"])}
        course.update(replace(course.state, rows=rows))
        count = len(parts.held_out)
        course.report(f"judge {len(rows)}/{count}")


def _card(problem: LearnProblem, parts: Split, state: LearnState, *, seed: int) -> Card:
    """Return the card. Raises CannotJudge with too few held-out instances."""
    learner, fitted = problem.learner, state.fitted
    measured = [one for one in parts.held_out if one.key in state.rows]
    if len(measured) < LEAST_HELD_OUT:
        raise CannotJudge(
            f"{len(measured)} of {len(parts.held_out)} held-out instances were measured before "
            f"the run ended, expected at least {LEAST_HELD_OUT}; give more time"
        )
    rows = tuple(_row(one, state) for one in measured)
    alarms = tuple(fitted["alarms"])
    interval, decision, reasons = judged(rows, learner.metric, seed=seed, alarms=alarms)
    assert state.model is not None
    notes = list(fitted["notes"])
    if len(measured) < len(parts.held_out):
        notes.append(
            f"Judged by {len(measured)} of {len(parts.held_out)} held-out instances, because the "
            "time ended."
        )
    if problem.repeated:
        notes.append(
            f"{problem.repeated} instances were given more than once, and merged."
        )
    return Card(
        target=learner.target,
        metric=learner.metric,
        data_sha256=problem.data_sha256,
        model_sha256=hashlib.sha256(state.model).hexdigest(),
        model_bytes=len(state.model),
        command=_command(problem),
        seed=seed,
        sizes=Sizes(
            instances=len(problem.instances), fit=len(parts.fit), held_out=len(rows)
        ),
        rows=rows,
        difference=interval,
        decision=decision,
        reasons=reasons,
        pretrained=bool(fitted["pretrained"]),
        alarms=alarms,
        notes=tuple(notes),
        scope=dict(check_header(state.model).scope),
        curve=state.curve,
        figures=dict(fitted["figures"]),
        versions=_versions(learner.packages),
    )


def _row(one: Instance, state: LearnState) -> CardRow:
    shipped, fitted = state.rows[one.key]
    return CardRow(instance=one.name[:200], key=one.key, shipped=shipped, fitted=fitted)


def _command(problem: LearnProblem) -> str:
    """Return the request as JSON, the files by their digests."""
    spec = problem.spec.model_dump(mode="json", exclude_none=True)
    text = json.dumps({"kind": "learn", "spec": spec}, sort_keys=True)
    return text if len(text) <= 20_000 else f"{text[:20_000]}…"


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def outcome_of(state: LearnState) -> SearchOutcome:
    """Return the outcome of a state with a card; of any other one, a solution without value."""
    if state.card is None:
        return SearchOutcome(
            termination=Termination(reason=Reason.FEASIBLE, detail="restored"),
            solution=state,
            objective=None,
            bound=None,
            summary={"decision": "none", "measured": len(state.rows)},
        )
    card = Card.model_validate(state.card)
    shipped, fitted = means(card)
    return SearchOutcome(
        termination=Termination(reason=Reason.COMPLETED, detail=card.reasons[-1]),
        solution=state,
        objective=fitted,
        bound=None,
        sense="minimize" if card.metric.better is Better.LOWER else "maximize",
        summary=_summary(card, shipped=shipped, fitted=fitted),
    )


def _summary(card: Card, *, shipped: float, fitted: float) -> Mapping[str, Any]:
    return {
        "target": card.target,
        "decision": card.decision.value,
        "metric": f"{card.metric.name} ({card.metric.unit})"
        if card.metric.unit
        else card.metric.name,
        "shipped": shipped,
        "fitted": fitted,
        "compared": card.metric.compared.value,
        "difference": card.difference.model_dump(mode="json"),
        "instances": card.sizes.model_dump(mode="json"),
        "reasons": list(card.reasons),
        "notes": list(card.notes),
    }


def _without_card(
    problem: LearnProblem, state: LearnState, limit: Limit | None, why: str
) -> SearchOutcome:
    """Return the end of a run whose card cannot be computed: there is no model."""
    detail = f"the card cannot be computed, so no model is adopted: {why}"
    return SearchOutcome(
        termination=Termination(
            reason=Reason.NO_SOLUTION_FOUND, limit=limit or Limit.OTHER, detail=detail
        ),
        solution=None,
        objective=None,
        bound=None,
        summary={
            "target": problem.spec.target.value,
            "decision": "none",
            "measured": len(state.rows),
            "reasons": [detail],
        },
    )
