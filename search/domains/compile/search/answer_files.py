"""Files of an answer: bitcode, object, text and the recipe that the replay command reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from search.domains.compile.answer import RECIPE_FORMAT, CompileSolution, Quarantined
from search.domains.compile.encode import Prepared
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.search.incumbents import Accepted
from solvers.llvm.execute import RunCase
from solvers.llvm.pairs import Timing


def write_answer(
    problem: CompileProblem,
    prepared: Prepared,
    best: Accepted,
    folder: Path,
    *,
    cases: tuple[tuple[RunCase, float], ...],
    why_unvalidated: str,
    timing: Timing | None = None,
    quarantined: Sequence[Quarantined] = (),
) -> CompileSolution:
    """Write the files into `folder`, a folder of the job's work folder."""
    folder.mkdir(exist_ok=True)
    built = best.built
    (folder / "optimised.bc").write_bytes(built.bitcode)
    (folder / "optimised.o").write_bytes(built.object)
    (folder / "optimised.ll").write_bytes(built.text.encode())
    recipe_file = folder / "recipe.json"
    recipe_file.write_text(_recipe_text(problem, prepared, best))
    assert built.measured.sizes is not None
    return CompileSolution(
        name=best.name,
        recipe=built.measured.recipe,
        recipe_file=recipe_file,
        bitcode=folder / "optimised.bc",
        text=folder / "optimised.ll",
        object=folder / "optimised.o",
        sizes=built.measured.sizes,
        objective=best.value,
        levels=prepared.sizes,
        build_id=prepared.installed.build_id,
        cases=cases,
        timing=timing,
        why_unvalidated=why_unvalidated,
        quarantined=tuple(quarantined),
    )


def _recipe_text(problem: CompileProblem, prepared: Prepared, best: Accepted) -> str:
    target = problem.machine
    return json.dumps(
        {
            "format": RECIPE_FORMAT,
            "llvm": prepared.installed.build_id,
            "target": {
                "triple": target.triple,
                "cpu": target.cpu,
                "features": target.features,
                "pic": target.pic,
                "codegen": list(target.codegen),
            },
            "original_sha256": prepared.engine.info.source_sha256,
            "optimised_sha256": hashlib.sha256(best.built.bitcode).hexdigest(),
            **best.built.measured.recipe.as_json(),
        },
        indent=1,
    )
