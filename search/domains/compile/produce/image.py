"""Files of a linked program: the program, its figures, and flags to paste into a Makefile."""

from __future__ import annotations

import shlex
from typing import Any

from search.domains.compile.answer import (
    OURS,
    CompileSolution,
    ImageAnswer,
    PlainFlags,
)
from search.domains.compile.parse.problem import CompileProblem
from solvers.llvm.lld import regions_of
from solvers.llvm.types import Sizes
from trimtab.flash.usage import read_file


def image_figures(problem: CompileProblem, solution: CompileSolution) -> dict[str, Any]:
    """Return image.json: sizes of all builds, symbols kept, and how the program is linked."""
    image, plain = _image(solution), _image(solution).flags
    return {
        "format": "trimtab-image/1",
        "by": image.by,
        "objective": problem.metric.value,
        "bytes": solution.objective,
        "compared_with": solution.reference,
        "fits": not image.overflow,
        "overflow": image.overflow,
        "regions": {
            name: {"used_bytes": used, "length_bytes": length}
            for name, (used, length) in regions_of(_map_text(image)).items()
        },
        "library": library_bytes(problem, image),
        "builds": {name: _figures(sizes) for name, sizes in solution.rows.items()},
        "not_equal": list(solution.differing),
        "kept": dict(sorted(image.kept.items())),
        "link": list(image.words),
        "plain_flags": plain and {**_words(plain), **_figures(plain.sizes)},
    }


def library_bytes(problem: CompileProblem, image: ImageAnswer) -> dict[str, Any]:
    """Return the flash that the C library and start files contribute, which are not optimised."""
    assert problem.image is not None
    library = problem.image.library
    own = f"{problem.workdir.resolve()}/"
    uploaded = f"{(problem.workdir / 'sysroot').resolve()}/"
    objects = {
        name: size
        for name, size in read_file(image.file, image.map).by_object().items()
        if name.startswith(uploaded)
        or (name.startswith("/") and not name.startswith(own))
    }
    return {
        "name": "the server's C library" if library is None else library.name,
        "flash_bytes": sum(objects.values()),
        "objects": {name.rpartition("/")[2]: size for name, size in objects.items()},
    }


def flags_text(solution: CompileSolution) -> str:
    """Return flags.txt: the best plain flags as lines of a Makefile, with what they save."""
    plain = _image(solution).flags
    if plain is None:
        return (
            "# no plain flags were tried: give the job more time, or image.plain_flags\n"
        )
    others = {
        name: sizes.loadable_bytes
        for name, sizes in solution.levels.items()
        if name != "plain flags"
    }
    flash = plain.sizes.loadable_bytes
    saved = [
        f"#   {100 * (theirs - flash) / theirs:.2f} % smaller than {name} ({theirs:,})"
        for name, theirs in others.items()
        if theirs
    ]
    words = _words(plain)
    return "\n".join(
        [
            f"# {flash:,} bytes of flash without a search, by clang and lld alone:",
            *saved,
            f"# {OURS}: {solution.sizes.loadable_bytes:,} bytes",
            f"CFLAGS += {words['cflags']}",
            f"CXXFLAGS += {words['cflags']}",
            f"LDFLAGS += {words['ldflags']}",
            "",
        ]
    )


def report_lines(problem: CompileProblem, solution: CompileSolution) -> list[str]:
    """Return the sections of report.md that a linked program has."""
    image, metric = _image(solution), solution.levels
    oz = solution.oz
    lines = [
        "## Linked programs",
        "",
        "| build | flash | RAM | code |",
        "|---|---:|---:|---:|",
        *(
            f"| {name} | {_cell(sizes.loadable_bytes, oz.loadable_bytes)} "
            f"| {sizes.ram_bytes:,} | {_cell(sizes.code_bytes, oz.code_bytes)} |"
            for name, sizes in solution.rows.items()
        ),
        "",
        f"Percentages are against {solution.reference}, the smallest of {len(metric)} builds.",
    ]
    if image.by != OURS:
        lines += ["", f"No program was smaller than {image.by}, which is the answer."]
        lines += [
            "",
            f"Its flags: `{shlex.join(image.compile_flags)}` for each source, and "
            f"`{shlex.join(image.link_flags)}` for the program.",
        ]
    if solution.differing:
        names = ", ".join(solution.differing)
        lines += [
            "",
            f"Not comparable, because the program behaves differently: {names}.",
        ]
    if image.overflow:
        lines += ["", "The program does not fit:", "", "```", image.overflow, "```"]
    library = library_bytes(problem, image)
    lines += [
        "",
        f"Of trimtab's flash, {library['flash_bytes']:,} bytes are {library['name']}, linked as it "
        "is.",
    ]
    if regions := regions_of(_map_text(image)):
        lines += ["", "| region | used | length | share |", "|---|---:|---:|---:|"]
        lines += [
            f"| {name} | {used:,} | {length:,} | {100 * used / (length or 1):.1f} % |"
            for name, (used, length) in regions.items()
        ]
    lines += ["", "## Plain flags", "", "```make", flags_text(solution).rstrip(), "```"]
    lines += ["", "## Symbols kept", ""]
    lines += [f"- `{name}`: {why}" for name, why in sorted(image.kept.items())] or [
        "None."
    ]
    return [*lines, ""]


def _map_text(image: ImageAnswer) -> str:
    return image.map.read_text(encoding="utf-8", errors="replace")


def _image(solution: CompileSolution) -> ImageAnswer:
    assert solution.image is not None
    return solution.image


def _figures(sizes: Sizes) -> dict[str, Any]:
    return {
        "flash_bytes": sizes.loadable_bytes,
        "ram_bytes": sizes.ram_bytes,
        "code_bytes": sizes.code_bytes,
        "beyond_regions_bytes": sizes.beyond_bytes,
        "sections": dict(sizes.sections),
    }


def _words(plain: PlainFlags) -> dict[str, str]:
    return {
        "cflags": shlex.join(plain.compile_flags),
        "ldflags": shlex.join(("-fuse-ld=lld", *plain.link_flags)),
    }


def _cell(ours: int, theirs: int) -> str:
    change = f" ({100 * (ours - theirs) / theirs:+.2f} %)" if theirs != ours else ""
    return f"{ours:,}{change}"
