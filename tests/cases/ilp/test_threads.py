"""`threads` decides how many cores a run uses, and every value of it has an effect."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from search import pipeline
from search.domains.ilp import build
from search.domains.ilp.search import core_sharing, supervisor
from search.domains.ilp.search.core_sharing import Account
from search.stop import from_budget
from tests.waiting import cpu_s
from trimtab.errors import TrimtabError
from trimtab.results import RunResult, VerificationStatus
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import Engine, IlpSpec, LnsOptions
from workers.corpus.integer_programs import set_cover, write_mps


def run(folder: Path, *, seconds: float, **options: Any) -> RunResult:
    file = folder / "cover.mps"
    write_mps(set_cover(500, 400, seed=9), file)
    spec = IlpSpec(
        model=ArtifactRef(digest="sha256:" + "0" * 64, name=file.name), **options
    )
    return pipeline.run(
        build(),
        spec,
        inputs={"model": file},
        workdir=folder,
        stop=from_budget({"seconds": seconds}, threading.Event()),
        seed=1,
    ).result


@pytest.mark.parametrize("seconds", [3.0, 6.0])
def test_one_thread_is_one_core(tmp_path: Path, seconds: float) -> None:
    """Engine and search together; the bound holds on a busy machine as well."""
    began, before = time.monotonic(), cpu_s()
    result = run(tmp_path, seconds=seconds, threads=1)
    assert result.verification.status is VerificationStatus.VALID
    assert cpu_s() - before <= 1.15 * (time.monotonic() - began) + 0.3


@pytest.mark.parametrize(
    ("threads", "lns", "engine_threads"),
    [
        (1, True, 1),
        (2, True, 1),
        (3, True, 2),
        (5, True, 4),
        (1, False, 1),
        (2, False, 2),
        (4, False, 4),
    ],
)
@pytest.mark.parametrize("engine", [Engine.HIGHS, Engine.CP_SAT])
def test_the_engine_gets_the_other_threads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    lns: bool,
    engine_threads: int,
    engine: Engine,
) -> None:
    seen: list[int] = []
    run_engine = supervisor.run_engine

    def spied(model: Any, **parts: Any) -> Any:
        seen.append(parts["params"].threads)
        return run_engine(model, **parts)

    monkeypatch.setattr(supervisor, "run_engine", spied)
    run(
        tmp_path, seconds=0.5, threads=threads, engine=engine, lns=LnsOptions(enabled=lns)
    )
    assert seen == [engine_threads]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_helpers_are_paused_with_one_thread_and_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """A machine of 16 idle cores: only a run with a single thread is short of them."""
    monkeypatch.setattr(core_sharing, "usable_cores", lambda: 16.0)
    monkeypatch.setattr(core_sharing, "running_processes", lambda: 1)
    monkeypatch.setattr(core_sharing.RoomMeter, "look", lambda self: 16.0)
    # Nothing to spend before the engine ran.
    monkeypatch.setattr(core_sharing, "Account", lambda: Account(balance_s=0.0))
    paused: list[str] = []
    pause = core_sharing.NativeProcess.pause

    def recorded(process: Any) -> None:
        paused.append(process.what)
        pause(process)

    monkeypatch.setattr(core_sharing.NativeProcess, "pause", recorded)
    run(tmp_path, seconds=2.0, threads=threads)
    assert bool(paused) == (threads == 1)


@pytest.mark.parametrize("threads", [0, -1, 65, 1.5, "two", None])
def test_other_values_than_a_number_of_cores_are_refused(threads: Any) -> None:
    with pytest.raises((ValidationError, TrimtabError), match="threads"):
        IlpSpec(model_text="x", threads=threads)
