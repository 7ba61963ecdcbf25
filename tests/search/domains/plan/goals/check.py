"""Checks of a goal's reference: tags, words, files, order, paths and whole requests."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable

from tests.search.domains.plan.goals.load import (
    STRATA,
    Goal,
    GoalError,
    Graph,
    Job,
    files_read,
)
from tests.search.domains.plan.goals.references import (
    check_value,
    is_file_field,
    requests,
    spec_of,
    validate,
)
from trimtab.specs.common import Spec
from workers.corpus.goals.references import EVERY_JOB, Produced

QUESTIONS = frozenset(
    {
        "background_number",
        "bands",
        "condition",
        "devices.count",
        "devices.hardware",
        "devices.memory_gib",
        "engine",
        "goal",
        "objective",
        "order",
        "quoted",
        "runs",
        "settings",
        "target",
        "time_limit",
        "unit",
        "which_file",
    }
)
"""Tags of `ask`; README.md says what each is about."""
NOT_DONE = frozenset(
    {
        "approve",
        "book_hardware",
        "build_model",
        "by_hand",
        "cancel_jobs",
        "condition",
        "credentials",
        "delete_data",
        "deploy",
        "flash",
        "image_compression",
        "mail",
        "manufacture",
        "measured_costs",
        "message",
        "other_tenant",
        "out_of_range",
        "prose",
        "quota",
        "repeat",
        "schedule",
        "server_file",
        "shell",
        "simulate",
        "slides",
        "system_prompt",
        "train_model",
        "translate",
        "unsupported_device",
        "unsupported_engine",
        "unsupported_sharding",
        "unsupported_target",
        "web",
    }
)
"""Tags of `not_done`; README.md says what each is about."""


def check(goal: Goal) -> list[Spec]:
    """Return the spec of each complete request, of all graphs. Raises GoalError."""
    try:
        _check_words(goal)
        complete = []
        for graph in goal.graphs:
            _check_graph(goal, graph)
            complete += [validate(request) for _, request in requests(goal, graph)]
        return complete
    except GoalError as error:
        raise GoalError(f"{goal.id}: {error}") from error


def _check_words(goal: Goal) -> None:
    _known("stratum", [goal.stratum], STRATA)
    _known("not_done", goal.not_done, NOT_DONE)
    _known("ask", goal.must_ask | goal.may_ask, QUESTIONS)
    _known("answers", goal.answers, goal.must_ask | goal.may_ask)
    _known("ask", goal.must_ask | goal.may_ask, goal.answers)
    _known("files of a job", files_read(goal), goal.files)
    for words in goal.not_done.values():
        if words not in goal.goal:
            raise GoalError(f"spans: expected words of the goal, got {words!r}")


def _check_graph(goal: Goal, graph: Graph) -> None:
    names = [job.name for job in graph.jobs]
    if len(set(names)) < len(names):
        raise GoalError(f"jobs: expected unique names, got {names}")
    _known("order", [name for pair in graph.order for name in pair], names)
    sorter = graphlib.TopologicalSorter[str]()
    for before, after in graph.order:
        sorter.add(after, before)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise GoalError(f"order: expected no cycle, got {error.args[1]}") from error
    for job in graph.jobs:
        _check_job(job, {each.name: each for each in graph.jobs})
    if len(goal.graphs) == 1:
        for answer in goal.answers.values():
            _known("answers", [*answer.set, *answer.files], [*names, EVERY_JOB])


def _check_job(job: Job, by_name: dict[str, Job]) -> None:
    full = [check_value(job.kind, path, value) for path, value in job.set.items()]
    for path, values in job.any_of.items():
        if len(values) < 2:
            raise GoalError(f"any_of.{path}: expected at least two values, got {values}")
        full += {check_value(job.kind, path, v) for v in values if v is not None}
    if len(set(full)) < len(full):
        raise GoalError(f"jobs.{job.name}: expected each path once, got {sorted(full)}")
    for field, file in job.files.items():
        if not is_file_field(job.kind, f"spec.{field}"):
            raise GoalError(f"files.{field}: expected a field that takes a file")
        if isinstance(file, Produced):
            outputs = spec_of(by_name[file.job].kind).OUTPUTS
            _known(f"files.{field}.output", [file.output], outputs)


def _known(field: str, got: Iterable[str], known: Iterable[str]) -> None:
    allowed = sorted(known)
    for name in got:
        if name not in allowed:
            raise GoalError(f"{field}: expected one of {allowed}, got {name!r}")
