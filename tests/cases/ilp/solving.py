"""Run one model through the pipeline, as a job does."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.ilp import build
from search.stop import from_budget
from trimtab.results import RunResult
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import Engine, IlpSpec

INPUTS = Path(__file__).parent / "inputs"
_DIGEST = "sha256:" + "0" * 64


def solve(
    model: str | Path,
    folder: Path,
    *,
    engine: Engine = Engine.HIGHS,
    seconds: float = 40.0,
    start: str | Path | None = None,
) -> RunResult:
    """Return the result for a file (Path) or a model's text in LP form.

    start: a solution file or its text.
    """
    spec: dict[str, Any] = {"engine": engine}
    inputs: dict[str, Path] = {}
    for name, content, file in (
        ("model", model, "model.lp"),
        ("warm_start", start, "start.sol"),
    ):
        if content is None:
            continue
        if isinstance(content, str):
            (folder / file).write_text(content)
            content = folder / file
        inputs[name] = content
        spec[name] = ArtifactRef(digest=_DIGEST, name=content.name)
    workdir = folder / f"work-{engine.value}"
    workdir.mkdir(exist_ok=True)
    stop = from_budget({"seconds": seconds}, threading.Event())
    return pipeline.run(
        build(), IlpSpec(**spec), inputs=inputs, workdir=workdir, stop=stop, seed=0
    ).result
