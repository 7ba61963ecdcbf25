"""Jobs of kind `ilp` for tests, run through the pipeline."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.ilp import build
from search.stop import from_budget
from trimtab.results import RunResult
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
    **budget: Any,
) -> RunResult:
    workdir = tmp_path / "work"
    workdir.mkdir(exist_ok=True)
    return pipeline.run(
        build(),
        spec,
        inputs=inputs or {},
        workdir=workdir,
        stop=from_budget({"seconds": seconds, **budget}, threading.Event()),
        seed=1,
    ).result


def inline(text: str, **more: Any) -> IlpSpec:
    return IlpSpec(model_text=text, format="lp", **more)


def segfault() -> None:
    faulthandler.disable()  # pytest's own handler would print a page for a crash that is meant
    os.kill(os.getpid(), signal.SIGSEGV)


def hard(tmp_path: Path) -> tuple[IlpSpec, dict[str, Path]]:
    file = tmp_path / "hard.mps"
    write_mps(set_cover(1_000, 800, seed=9), file)
    return IlpSpec(model=ArtifactRef(digest="sha256:" + "0" * 64, name="hard.mps")), {
        "model": file
    }
