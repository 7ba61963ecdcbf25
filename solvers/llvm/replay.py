"""Repeat an answer: `python -m solvers.llvm.replay recipe.json original.bc out.bc`.

`out` may be .bc, .ll or .o. recipe.json holds the recipe, its target, the LLVM build it was made
with and, when known, the sha256 of both modules. Exit codes: 0 repeated, 1 not possible, 3 the
result differs from the answer.
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
    """The recipe file or the modules do not allow a replay. The message has the reason."""


def read_recipe(data: bytes) -> tuple[Recipe, Target, Mapping[str, Any]]:
    """Return (recipe, target, whole file). Raises CannotReplay."""
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
        raise CannotReplay(
            f"not a recipe file: {type(error).__name__}: {error}"
        ) from error


def _codegen(words: object) -> tuple[str, ...]:
    """Read options of the code generator from a file: only those that clang's driver can choose."""
    if not isinstance(words, list) or not all(
        isinstance(word, str) and OF_DRIVER.fullmatch(word) for word in words
    ):
        raise ValueError(
            "target.codegen: expected a list of options of the code generator, such as "
            "-float-abi=hard"
        )
    return tuple(words)


def replay(
    recipe_file: Path, original: Path, out: Path, *, any_build: bool = False
) -> tuple[Measured, Measured, bool]:
    """Repeat the recipe and write `out`; return (the result, -Oz, whether it equals the answer).

    Raises CannotReplay, BadModule, CandidateFailed, LlvmMissing or EngineDied.
    """
    recipe, target, whole = read_recipe(recipe_file.read_bytes())
    if out.suffix not in (".bc", ".ll", ".o"):
        raise CannotReplay(
            f"out: expected a name that ends in .bc, .ll or .o, got {out.name!r}"
        )
    installed, made_with = find_llvm(target.triple), whole.get("llvm")
    if made_with != installed.build_id and not any_build:
        raise CannotReplay(
            f"llvm: expected {made_with}, the build of the recipe, got {installed.build_id}: "
            "passes differ between builds. Install that build, or add --any-build"
        )
    module = original.read_bytes()
    expected = whole.get("original_sha256")
    if expected and expected != hashlib.sha256(module).hexdigest():
        raise CannotReplay(
            f"{original} is not the recipe's module: expected a file with sha256 {expected}"
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
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m solvers.llvm.replay", description=__doc__.split("\n")[0]
    )
    parser.add_argument("recipe", type=Path, help="recipe.json of the answer")
    parser.add_argument("original", type=Path, help="the unoptimised module, .bc or .ll")
    parser.add_argument("out", type=Path, help="what to write: .bc, .ll or .o")
    parser.add_argument(
        "--any-build", action="store_true", help="accept another LLVM build"
    )
    options = parser.parse_args(arguments)
    try:
        measured, oz, same = replay(
            options.recipe, options.original, options.out, any_build=options.any_build
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
            "replay: the result differs from the program of the recipe file",
            file=sys.stderr,
        )
        return _OTHER_RESULT
    return 0


if __name__ == "__main__":
    sys.exit(main())
