"""Files of an answer: bitcode, object, text and the recipe that the replay command reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from search.domains.compile.answer import (
    OURS,
    RECIPE_FORMAT,
    CompileSolution,
    ImageAnswer,
    PlainFlags,
    Quarantined,
)
from search.domains.compile.baselines import Baseline, sizes_of
from search.domains.compile.builds import PLAIN_FLAGS, Build, link_objects
from search.domains.compile.encode import Prepared
from search.domains.compile.gcc_builds import GCC_LTO
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.search.incumbents import Accepted
from search.domains.compile.usage import usages
from solvers.llvm.execute import RunCase
from solvers.llvm.pairs import Timing
from solvers.llvm.types import Metric, Sizes


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
    sizes, objective = built.measured.sizes, best.value
    levels, reference, image = prepared.sizes, "Oz", None
    differing: tuple[str, ...] = ()
    if problem.image is not None:
        image, sizes = _image_answer(problem, prepared, best, folder)
        objective = float(sizes.of(problem.metric))
        levels = {name: row.sizes for name, row in prepared.baselines.items()}
        reference = _reference(prepared, problem.metric)
        differing = tuple(sorted(prepared.differing))
    return CompileSolution(
        name=best.name,
        recipe=built.measured.recipe,
        recipe_file=recipe_file,
        bitcode=folder / "optimised.bc",
        text=folder / "optimised.ll",
        object=folder / "optimised.o",
        sizes=sizes,
        objective=objective,
        levels=levels,
        build_id=prepared.installed.build_id,
        cases=cases,
        timing=timing,
        why_unvalidated=why_unvalidated,
        quarantined=tuple(quarantined),
        image=image,
        reference=reference,
        differing=differing,
    )


def rival_of(prepared: Prepared, metric: Metric) -> Baseline | None:
    """Return the smallest of the user's own builds that behaves the same; None without any."""
    usable = [
        row
        for row in prepared.baselines.values()
        if row.build.name not in prepared.differing
    ]
    return min(usable, key=lambda row: row.of(metric), default=None)


def _reference(prepared: Prepared, metric: Metric) -> str:
    """Name of the user's smallest build, without those that the search made."""
    rows = [
        row
        for row in prepared.baselines.values()
        if row.build.name not in (PLAIN_FLAGS, GCC_LTO)
    ]
    return min(rows, key=lambda row: row.of(metric)).build.name


def _image_answer(
    problem: CompileProblem, prepared: Prepared, best: Accepted, folder: Path
) -> tuple[ImageAnswer, Sizes]:
    """Link the incumbent, and take the user's own build where that is smaller."""
    image = problem.image
    assert image is not None
    ours = folder / "linked"
    ours.mkdir(exist_ok=True)
    file, overflow = link_objects(image, [folder / "optimised.o"], ours)
    sizes, by = sizes_of(image, file, overflow), OURS
    build: Build | None = None
    sizes = replace(sizes, functions=(best.built.measured.sizes or sizes).functions)
    rival = rival_of(prepared, problem.metric)
    if rival is not None and rival.of(problem.metric) < sizes.of(problem.metric):
        sizes, build = rival.sizes, rival.build
        file, by, overflow = build.file, build.name, build.overflow
    plain = prepared.baselines.get(PLAIN_FLAGS)
    reference = _reference(prepared, problem.metric)
    before, used = usages(problem, prepared.baselines, reference, file)
    return (
        ImageAnswer(
            file=file,
            map=file.with_name("image.map"),
            by=by,
            compile_flags=() if build is None else build.compile_flags,
            link_flags=() if build is None else build.link_flags,
            options=() if build is None else build.options,
            words=image.answer_line.words,
            kept=image.kept,
            flags=None
            if plain is None
            else PlainFlags(
                compile_flags=plain.build.compile_flags,
                link_flags=plain.build.link_flags,
                options=plain.build.options,
                sizes=plain.sizes,
            ),
            overflow=overflow,
            used=used,
            before=before,
        ),
        sizes,
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
