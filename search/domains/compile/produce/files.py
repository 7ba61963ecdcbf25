"""Files of a compile job, and which of them are written on demand."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from search.domains.compile.answer import CompileSolution, ImageAnswer
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.produce.image import flags_text, image_figures
from search.domains.compile.produce.picture import draw_sizes
from search.domains.compile.produce.report import write_report
from search.types import Extra, Produced
from solvers.llvm.programs import LlvmPrograms
from solvers.llvm.types import Sizes
from trimtab.flash.treemap import draw_comparison, draw_treemap
from trimtab.flash.usage import read_file

VALIDATION = "validation.json"
CHECKED = "checked.json"  # in the work folder: the check's result, for the report


def produce(
    problem: CompileProblem,
    solution: CompileSolution,
    programs: LlvmPrograms,
    workdir: Path,
) -> list[Produced | Extra]:
    """Write the files of an answer into `workdir`.

    optimised.{bc,ll,o}, original.bc, recipe.json and validation.json at once; pipeline.txt,
    sizes.{csv,json,svg} and report.md on demand.
    """
    rows = solution.rows
    validation = _validation(problem)
    texts: list[tuple[str, Callable[[], str], str]] = [
        ("pipeline.txt", lambda: pipeline_text(solution, programs), "text/plain"),
        (
            "sizes.json",
            lambda: json.dumps({name: size_of(s) for name, s in rows.items()}, indent=1),
            "application/json",
        ),
        ("sizes.csv", lambda: to_csv(rows), "text/csv"),
        ("sizes.svg", lambda: _drawn(solution), "image/svg+xml"),
        (
            "report.md",
            lambda: write_report(problem, solution, validation, programs),
            "text/markdown",
        ),
    ]
    checked = workdir / VALIDATION
    checked.write_text(json.dumps(validation, indent=1), encoding="utf-8")
    return [
        _copied(workdir, "optimised.bc", solution.bitcode),
        _copied(workdir, "optimised.ll", solution.text, "text/plain"),
        _copied(workdir, "optimised.o", solution.object),
        _copied(workdir, "original.bc", problem.module),
        _copied(workdir, "recipe.json", solution.recipe_file, "application/json"),
        Produced(name=VALIDATION, path=checked, media_type="application/json"),
        *_image_files(problem, solution, workdir),
        *(
            Extra(name=name, write=partial(_write, text), media_type=media_type)
            for name, text, media_type in texts
        ),
    ]


def _image_files(
    problem: CompileProblem, solution: CompileSolution, workdir: Path
) -> list[Produced | Extra]:
    """Write the linked program, its map, figures and plain flags."""
    image = solution.image
    if image is None:
        return []
    figures = workdir / "image.json"
    figures.write_text(
        json.dumps(image_figures(problem, solution), indent=1), encoding="utf-8"
    )
    plan = workdir / "image.map"
    text = image.map.read_text(encoding="utf-8", errors="replace")
    # The work folder is no part of an answer.
    plan.write_text(text.replace(f"{problem.workdir.resolve()}/", ""), encoding="utf-8")
    program = _copied(workdir, "image.elf", image.file)
    program.path.chmod(0o755)
    return [
        program,
        Produced(name=figures.name, path=figures, media_type="application/json"),
        Produced(name=plan.name, path=plan, media_type="text/plain"),
        Extra(
            name="image.svg",
            write=partial(_write, lambda: _treemap(image, solution.reference)),
            media_type="image/svg+xml",
            alt="Tree maps of the flash before and after, by section, object and symbol",
        ),
        Extra(
            name="flags.txt",
            write=partial(_write, lambda: flags_text(solution)),
            media_type="text/plain",
        ),
    ]


def _treemap(image: ImageAnswer, reference: str) -> str:
    used = image.used or read_file(image.file, image.map)
    title = f"{used.flash:,} bytes of flash, {used.ram:,} of RAM"
    if image.before is None:
        return draw_treemap(used, title=title)
    return draw_comparison(
        image.before, used, title=f"{title}; before: {reference}, after: {image.by}"
    )


def _drawn(solution: CompileSolution) -> str:
    title = _title(solution)
    return draw_sizes(solution.rows, title=title, reference=solution.reference)


def _write(text: Callable[[], str], path: Path) -> None:
    path.write_text(text(), encoding="utf-8")


def size_of(sizes: Sizes) -> dict[str, Any]:
    """Return sizes in JSON form."""
    return {
        "loadable_bytes": sizes.loadable_bytes,
        "code_bytes": sizes.code_bytes,
        "ir_instructions": sizes.ir_instructions,
        "sections": dict(sorted(sizes.sections.items())),
        "functions": dict(sorted(sizes.functions.items())),
    }


def to_csv(levels: Mapping[str, Sizes]) -> str:
    """Return a table with one row for each figure and one column for each level.

    A cell is empty where a level has no such section or function.
    """
    names = list(levels)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["what", "name", *names])
    for what in ("loadable_bytes", "code_bytes", "ir_instructions"):
        writer.writerow(
            ["module", what, *(getattr(levels[name], what) for name in names)]
        )
    for what, parts in (
        ("section", {name: levels[name].sections for name in names}),
        ("function", {name: levels[name].functions for name in names}),
    ):
        for part in _ordered(parts.values()):
            writer.writerow([what, part, *(parts[name].get(part, "") for name in names)])
    return out.getvalue()


def _ordered(parts: Iterable[Mapping[str, int]]) -> list[str]:
    return sorted({name for sizes in parts for name in sizes})


def _title(solution: CompileSolution) -> str:
    oz, ours = solution.oz.loadable_bytes, solution.sizes.loadable_bytes
    if not oz:
        return f"{ours:,} loadable bytes"
    change = f"{100 * (ours - oz) / oz:+.2f} % against {solution.reference_name}"
    return f"{ours:,} loadable bytes, {change} ({oz:,})"


def pipeline_text(solution: CompileSolution, programs: LlvmPrograms) -> str:
    """Return pipeline.txt: the commands that repeat the answer."""
    recipe = solution.recipe
    lines = [f"# {solution.build_id}: other builds may name or run passes differently"]
    if not recipe.by_opt:
        lines += [
            "# with decisions for single functions, which opt cannot take; this repeats it:",
            "python -m solvers.llvm.replay recipe.json original.bc optimised.bc",
            "# its pipeline alone:",
        ]
    lines += programs.commands(recipe)
    return "\n".join(lines) + "\n"


def _validation(problem: CompileProblem) -> dict[str, Any]:
    """Read the result of the check, with the search's quarantined candidates."""
    path = problem.workdir / CHECKED
    if not path.exists():
        return {"status": "not checked"}
    validation: dict[str, Any] = json.loads(path.read_text())
    return validation


def _copied(
    workdir: Path, name: str, source: Path, media_type: str = "application/octet-stream"
) -> Produced:
    target = workdir / name
    if source != target:
        shutil.copyfile(source, target)
    return Produced(name=name, path=target, media_type=media_type)
