"""Jobs of kind `ilp` for tests, run through the pipeline."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.ilp import build
from search.stop import from_budget
from trimtab.results import Incumbent, RunResult
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import IlpSpec
from workers.corpus.integer_programs import set_cover, write_mps

KNAPSACK = """Maximize
 value: 5 a + 4 b + 3 c
Subject To
 weight: 2 a + 3 b + c <= 5
 volume: 4 a + b + 2 c <= 11
 third: 3 a + 4 b + 2 c <= 8
Bounds
 a <= 10
 b <= 10
 c <= 10
General
 a b c
End
"""


def solve(
    spec: IlpSpec,
    tmp_path: Path,
    *,
    seconds: float = 20.0,
    inputs: Mapping[str, Path] | None = None,
    until: Callable[[Incumbent], bool] = lambda point: False,
    **budget: Any,
) -> RunResult:
    """Run a job; its owner stops it at the first incumbent for which `until` is true."""
    stopped = threading.Event()

    def on_incumbent(point: Incumbent) -> None:
        if until(point):
            stopped.set()

    workdir = tmp_path / "work"
    workdir.mkdir(exist_ok=True)
    return pipeline.run(
        build(),
        spec,
        inputs=inputs or {},
        workdir=workdir,
        stop=from_budget({"seconds": seconds, **budget}, stopped),
        seed=1,
        callbacks=pipeline.Callbacks(on_incumbent=on_incumbent),
    ).result


def inline(text: str, **more: Any) -> IlpSpec:
    return IlpSpec(model_text=text, format="lp", **more)


def segfault() -> None:
    faulthandler.disable()  # pytest's own handler would print a page for a crash that is meant
    os.kill(os.getpid(), signal.SIGSEGV)


def hard(
    tmp_path: Path, rows: int = 1_000, columns: int = 800
) -> tuple[IlpSpec, dict[str, Path]]:
    file = tmp_path / "hard.mps"
    write_mps(set_cover(rows, columns, seed=9), file)
    return IlpSpec(model=ArtifactRef(digest="sha256:" + "0" * 64, name="hard.mps")), {
        "model": file
    }
