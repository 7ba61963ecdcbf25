"""Arguments that a domain's builder gets from `workers`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from search import stop
from search.conclude import Finished
from tests.changing.test_kind import KIND, RootDomain
from workers.needs import provide
from workers.process import run_task as run_module
from workers.process.reporter import Reporter
from workers.process.run_task import run_task
from workers.types import Task

TABLE = {"text_model": f"{__name__}:text_model"}
arguments: list[Any] = []


def text_model() -> str:
    return "a model"


def _task() -> Task:
    return Task(
        job_id="j",
        fence=1,
        kind="root",
        builder=f"{__name__}:build",
        spec_class=KIND.spec_class,
        spec={"square": 50},
        seed=0,
        budget={"seconds": 5.0},
        needs=("text_model",),
    )


def build(*, text_model: str) -> RootDomain:
    arguments.append(text_model)
    return RootDomain()


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    assert provide([], providers=TABLE) == {}
    with pytest.raises(
        ValueError, match=r"needs: expected .*text_model.*, got 'weights'"
    ):
        provide(["weights"], providers=TABLE)


def _run(workdir: Path) -> Finished:
    """Run the task as a child does, without listeners."""
    reporter = Reporter(lambda incumbent: None, workdir=workdir)
    finished = run_task(
        _task(),
        workdir,
        stop_event=threading.Event(),
        reporter=reporter,
        on_phase=lambda name, detail: None,
    )
    reporter.close()
    return finished


def test_a_kind_that_needs_something_is_built_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.needs.PROVIDERS", TABLE)
    finished = _run(tmp_path)
    assert arguments == ["a model"]
    assert finished.result.objective == 1.0


def test_the_budget_begins_after_the_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def note(name: str, function: Any) -> Any:
        def noted(*args: Any) -> Any:
            order.append(name)
            return function(*args)

        return noted

    monkeypatch.setattr("workers.needs.PROVIDERS", TABLE)
    monkeypatch.setattr(run_module, "load", note("load", run_module.load))
    monkeypatch.setattr(stop, "from_budget", note("budget", stop.from_budget))
    _run(tmp_path)
    assert order == ["load", "load", "budget"]
