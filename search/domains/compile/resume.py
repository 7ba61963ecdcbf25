"""Checkpoint of a reported program: files, sizes and the runs to compare it on, as JSON."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from search.domains.compile.answer import (
    CompileSolution,
    ImageAnswer,
    PlainFlags,
    target_text,
)
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.parse.sources import listed
from search.types import SearchOutcome
from solvers.llvm.execute import RunCase
from solvers.llvm.pairs import Timing
from solvers.llvm.types import Recipe, Sizes
from trimtab.flash.usage import Usage, usage_from_json
from trimtab.results import Reason, Termination

_FILES = ("recipe_file", "bitcode", "text", "object")


def to_bytes(solution: CompileSolution) -> bytes:
    """Serialise a solution without its quarantined candidates, which are no part of the answer."""
    return orjson.dumps(
        {
            "name": solution.name,
            "recipe": solution.recipe.as_json(),
            "files": {
                name: _text(getattr(solution, name).read_bytes()) for name in _FILES
            },
            "sizes": dataclasses.asdict(solution.sizes),
            "objective": solution.objective,
            "levels": {
                name: dataclasses.asdict(sizes) for name, sizes in solution.levels.items()
            },
            "build_id": solution.build_id,
            "cases": [[_case(case), timeout_s] for case, timeout_s in solution.cases],
            "timing": dataclasses.asdict(solution.timing) if solution.timing else None,
            "why_unvalidated": solution.why_unvalidated,
            "image": _image(solution.image),
            "differing": list(solution.differing),
            "reference": solution.reference,
        }
    )


def from_bytes(data: bytes, folder: Path) -> CompileSolution:
    """Parse, and write the files into `folder`. Raises ValueError, KeyError or TypeError."""
    read = orjson.loads(data)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, ending in zip(
        _FILES,
        ("recipe.json", "optimised.bc", "optimised.ll", "optimised.o"),
        strict=True,
    ):
        files[name] = folder / ending
        files[name].write_bytes(_bytes(read["files"][name]))
    return CompileSolution(
        name=str(read["name"]),
        recipe=Recipe.from_json(read["recipe"]),
        recipe_file=files["recipe_file"],
        bitcode=files["bitcode"],
        text=files["text"],
        object=files["object"],
        sizes=_sizes(read["sizes"]),
        objective=float(read["objective"]),
        levels={str(name): _sizes(sizes) for name, sizes in read["levels"].items()},
        build_id=str(read["build_id"]),
        cases=tuple(
            (_case_of(case), float(timeout_s)) for case, timeout_s in read["cases"]
        ),
        timing=None if read["timing"] is None else Timing(**read["timing"]),
        why_unvalidated=str(read["why_unvalidated"]),
        image=_image_of(read.get("image"), folder),
        differing=tuple(map(str, read.get("differing", ()))),
        reference=str(read.get("reference", "Oz")),
    )


def outcome_of(problem: CompileProblem, solution: CompileSolution) -> SearchOutcome:
    """Return a restored solution as an outcome, with the summary that can be derived from it."""
    return SearchOutcome(
        termination=Termination(reason=Reason.FEASIBLE, detail="restored"),
        solution=solution,
        objective=solution.objective,
        bound=None,
        summary={
            "llvm": solution.build_id,
            "target": target_text(problem.machine),
            "sources": listed(problem.sources),
            "objective": problem.spec.objective.value,
            "oz": solution.oz.of(problem.metric),
            "saved": solution.saved(problem.metric),
            "found_by": solution.name,
            "behaviour": solution.behaviour,
            "sizes": solution.size_table,
            "notes": list(problem.notes),
        },
    )


def _image(image: ImageAnswer | None) -> dict[str, Any] | None:
    if image is None:
        return None
    flags = image.flags
    return {
        "file": _text(image.file.read_bytes()),
        "map": _text(image.map.read_bytes()),
        "by": image.by,
        "words": list(image.words),
        "kept": dict(image.kept),
        "overflow": image.overflow,
        "flags": flags and dataclasses.asdict(flags),
        "used": image.used and image.used.as_json(),
        "before": image.before and image.before.as_json(),
    }


def _image_of(data: Mapping[str, Any] | None, folder: Path) -> ImageAnswer | None:
    if data is None:
        return None
    for name, key in (("image.elf", "file"), ("image.map", "map")):
        (folder / name).write_bytes(_bytes(data[key]))
    (folder / "image.elf").chmod(0o755)
    flags = data["flags"]
    return ImageAnswer(
        file=folder / "image.elf",
        map=folder / "image.map",
        by=str(data["by"]),
        words=tuple(map(str, data["words"])),
        kept={str(name): str(why) for name, why in data["kept"].items()},
        overflow=str(data["overflow"]),
        used=_usage_of(data.get("used")),
        before=_usage_of(data.get("before")),
        flags=None
        if flags is None
        else PlainFlags(
            compile_flags=tuple(map(str, flags["compile_flags"])),
            link_flags=tuple(map(str, flags["link_flags"])),
            options=tuple(map(str, flags["options"])),
            sizes=_sizes(flags["sizes"]),
        ),
    )


def _usage_of(data: Mapping[str, Any] | None) -> Usage | None:
    return None if data is None else usage_from_json(data)


def _sizes(data: Mapping[str, Any]) -> Sizes:
    sizes = Sizes(**data)
    numbers = (sizes.ir_instructions, sizes.code_bytes, sizes.loadable_bytes)
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError(f"sizes: expected whole numbers, got {numbers}")
    return sizes


def _case(case: RunCase) -> dict[str, Any]:
    stdout = case.expected_stdout
    return {
        "arguments": list(case.arguments),
        "stdin": _text(case.stdin),
        "expected_stdout": None if stdout is None else _text(stdout),
        "expected_exit": case.expected_exit,
        "files": {name: _text(content) for name, content in case.files.items()},
    }


def _case_of(data: Mapping[str, Any]) -> RunCase:
    stdout = data["expected_stdout"]
    return RunCase(
        arguments=tuple(map(str, data["arguments"])),
        stdin=_bytes(data["stdin"]),
        expected_stdout=None if stdout is None else _bytes(stdout),
        expected_exit=None
        if data["expected_exit"] is None
        else int(data["expected_exit"]),
        files={str(name): _bytes(content) for name, content in data["files"].items()},
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
