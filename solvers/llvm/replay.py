"""`python -m solvers.llvm.replay recipe.json original.bc out.bc`: does an answer again and says what it takes.

`out` may be .bc, .ll or .o. recipe.json holds the recipe, its target, the LLVM build it was found with and, when known,
the sha256 of both modules. Exit: 0 repeated, 1 not possible, 3 done but the result is another than the answer was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from solvers.llvm.driver import OF_DRIVER
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.install import find_llvm
from solvers.llvm.types import (
    BadModule,
    EngineDied,
    LlvmMissing,
    Measured,
    Outcome,
    Recipe,
    Target,
)

_OTHER_RESULT = 3


class CannotReplay(Exception):
    """The recipe file or the modules are not what a replay needs."""


def read_recipe(data: bytes) -> tuple[Recipe, Target, Mapping[str, Any]]:
    """(recipe, target, whole file). Raises CannotReplay."""
    try:
        whole = json.loads(data)
        target = whole["target"]
        return (
            Recipe.from_json(whole),
            Target(
                triple=str(target["triple"]),
                cpu=str(target["cpu"]),
                features=str(target.get("features", "")),
                pic=bool(target.get("pic", True)),
                codegen=_codegen(target.get("codegen", [])),
            ),
            whole,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CannotReplay(f"not a recipe file: {type(error).__name__}: {error}") from error


def _codegen(words: object) -> tuple[str, ...]:
    """Words for the code generator, from a file: only such as clang's driver may lead to."""
    if not isinstance(words, list) or not all(
        isinstance(word, str) and OF_DRIVER.fullmatch(word) for word in words
    ):
        raise ValueError(
            "target.codegen: expected a list of words that set up the code generator, such as -float-abi=hard"
        )
    return tuple(words)


def replay(
    recipe_file: Path, original: Path, out: Path, *, any_build: bool = False
) -> tuple[Measured, Measured, bool]:
    """Does the recipe again and writes `out`: (the result, -Oz, whether it is the very program the file names).

    Raises CannotReplay, BadModule, CandidateFailed, LlvmMissing or EngineDied.
    """
    recipe, target, whole = read_recipe(recipe_file.read_bytes())
    if out.suffix not in (".bc", ".ll", ".o"):
        raise CannotReplay(
            f"output {out.name!r} came; wanted a name that ends in .bc, .ll or .o"
        )
    installed, made_with = find_llvm(), whole.get("llvm")
    if made_with != installed.build_id and not any_build:
        raise CannotReplay(
            f"the recipe was found with {made_with}, installed is {installed.build_id}: passes differ between builds. "
            "Install that build, or say --any-build"
        )
    module = original.read_bytes()
    wanted = whole.get("original_sha256")
    if wanted and wanted != hashlib.sha256(module).hexdigest():
        raise CannotReplay(
            f"{original} is not the module the recipe was found for (its sha256 differs from {wanted})"
        )
    with Engine(module, target=target, installed=installed) as engine:
        oz = engine.measure([Recipe(pipeline="default<Oz>")])[0]
        built = engine.build(recipe)
    forms = {".bc": built.bitcode, ".ll": built.text.encode(), ".o": built.object}
    out.write_bytes(forms[out.suffix])
    answer = whole.get("optimised_sha256")
    return (
        built.measured,
        oz,
        not answer or answer == hashlib.sha256(built.bitcode).hexdigest(),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m solvers.llvm.replay", description=__doc__.split("\n")[0]
    )
    parser.add_argument("recipe", type=Path, help="recipe.json of the answer")
    parser.add_argument("original", type=Path, help="the unoptimised module, .bc or .ll")
    parser.add_argument("out", type=Path, help="what to write: .bc, .ll or .o")
    parser.add_argument(
        "--any-build", action="store_true", help="go on with another LLVM build"
    )
    asked = parser.parse_args(arguments)
    try:
        measured, oz, same = replay(
            asked.recipe, asked.original, asked.out, any_build=asked.any_build
        )
    except (
        CannotReplay,
        BadModule,
        CandidateFailed,
        LlvmMissing,
        EngineDied,
        OSError,
    ) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1
    print(f"{'':16}{'answer':>12}{'-Oz':>12}")
    for name in ("ir_instructions", "code_bytes", "loadable_bytes"):
        shown = [
            str(getattr(one.sizes, name)) if one.outcome is Outcome.OK else "-"
            for one in (measured, oz)
        ]
        print(f"{name:16}{shown[0]:>12}{shown[1]:>12}")
    if not same:
        print(
            "replay: the result is not the program the recipe file names", file=sys.stderr
        )
        return _OTHER_RESULT
    return 0


if __name__ == "__main__":
    sys.exit(main())
