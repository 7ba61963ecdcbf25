"""Files of an answer, as the replay command and the result read them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from search.domains.compile.answer import RECIPE_FORMAT
from search.domains.compile.search.answer_files import write_answer
from search.domains.compile.search.incumbents import Accepted
from solvers.llvm.engine import Built
from solvers.llvm.types import Measured, Outcome, Recipe, Sizes, Target


def test_files_hold_the_program_and_the_recipe_its_digests(tmp_path: Path) -> None:
    sizes = Sizes(ir_instructions=3, code_bytes=4, loadable_bytes=5)
    recipe = Recipe(pipeline="globaldce", options=("-x",))
    measured = Measured(recipe=recipe, outcome=Outcome.OK, seconds=0.0, sizes=sizes)
    built = Built(bitcode=b"BC", text="; IR", object=b"ELF", measured=measured)
    prepared: Any = SimpleNamespace(
        installed=SimpleNamespace(build_id="llvm-22"),
        engine=SimpleNamespace(info=SimpleNamespace(source_sha256="abc")),
        sizes={"Oz": sizes},
    )
    answer = write_answer(
        cast("Any", SimpleNamespace(machine=Target(cpu="x86-64"), image=None)),
        prepared,
        Accepted(name="Oz", value=5.0, built=built),
        tmp_path / "answer",
        cases=(),
        why_unvalidated="it has no `main`",
    )
    assert answer.bitcode.read_bytes() == b"BC"
    assert answer.text.read_text() == "; IR"
    assert answer.object.read_bytes() == b"ELF"
    data = json.loads(answer.recipe_file.read_text())
    assert data["format"] == RECIPE_FORMAT
    assert data["original_sha256"] == "abc"
    assert data["optimised_sha256"] == hashlib.sha256(b"BC").hexdigest()
    assert data["target"]["cpu"] == "x86-64"
    assert Recipe.from_json(data) == recipe
    assert (answer.objective, answer.levels) == (5.0, {"Oz": sizes})
