"""Run the pipeline on a task, in the worker's child or in the inline executor."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from workers.needs import load, provide
from workers.process.reporter import Reporter
from workers.types import Task
from workers.wire import woken_from_json

if TYPE_CHECKING:
    from search.conclude import Finished
    from search.model_files import ModelOffer
    from search.types import OnPhase


def run_task(
    task: Task,
    workdir: Path,
    *,
    stop_event: threading.Event,
    reporter: Reporter,
    on_phase: OnPhase,
) -> Finished:
    """Search, or finish an earlier run's solution when the task says so.

    Exceptions of the domain pass through; `workers.failures.failure_of` translates them.
    """
    # Imported here: a warm child has these in memory before the task arrives.
    from search import pipeline
    from search.finish import DeadRun, finish
    from search.stop import from_budget
    from search.types import TakesModels

    domain = load(task.builder)(**provide(task.needs))
    if isinstance(domain, TakesModels):
        domain.take_models(_offer(task))
    woken = None if task.woken is None else woken_from_json(task.woken)
    spec = load(task.spec_class).model_validate_json(orjson.dumps(dict(task.spec)))
    # The budget is for the job: importing the modules takes seconds on a busy machine.
    stop = from_budget(task.budget, stop_event)
    if task.finish is not None:
        return finish(
            domain,
            spec,
            inputs=task.inputs,
            workdir=workdir,
            seed=task.seed,
            dead=DeadRun(
                termination=task.finish.ended,
                checkpoint=task.start,
                budget_s=float(task.budget["seconds"]),
            ),
            woken=woken,
            decorate=task.finish.decorate,
            on_phase=on_phase,
        )
    return pipeline.run(
        domain,
        spec,
        inputs=task.inputs,
        workdir=workdir,
        stop=stop,
        seed=task.seed,
        start=task.start,
        woken=woken,
        callbacks=pipeline.Callbacks(
            on_phase=on_phase,
            on_checkpoint=reporter.checkpoint,
            on_incumbent=reporter.incumbent,
        ),
    )


def _offer(task: Task) -> ModelOffer:
    """Return the registered models of a task, with the hashes that their files must have."""
    from search.model_files import ModelOffer, RegisteredModel

    return ModelOffer(
        wanted=task.model,
        models=tuple(
            RegisteredModel(id=name, sha256=sha256, path=task.inputs[f"model.{name}"])
            for name, sha256 in task.models.items()
        ),
    )
