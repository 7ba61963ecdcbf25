"""Target `compile` of kind `learn`, end to end on small modules."""

from __future__ import annotations

import json
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from search import pipeline
from search.domains.compile.parse.problem import CompileProblem, parse_problem
from search.domains.compile.search.chosen import misfit
from search.domains.compile.search.fitted import read_fitted
from search.domains.learn import build
from search.model_files import parse_model
from search.stop import from_budget
from search.types import InvalidInput
from trimtab.cards import Card
from trimtab.specs.common import ArtifactRef
from trimtab.specs.compile import CompileSpec, Objective
from trimtab.specs.learn import CompileLearnOptions, LearnSpec, Target
from workers.learn.compile import CompileLearner
from workers.learn.table import learners

OPTIONS = CompileLearnOptions(evaluations=30, pipelines=3, include=("inc",))
BODIES = (
    "h = h * 31 + i",
    "h ^= i << (i & 7)",
    "h += a[i % 4]",
    "h -= a[i & 7] * i",
    "h = (h >> 3) | (h << 29)",
)


def archive(folder: Path, count: int = 10, **more: str) -> Path:
    """A code base with a header in a folder of its own."""
    path = folder / "code.tar.gz"
    files = {"inc/types.h": "typedef unsigned word;\n", **more}
    for number in range(count):
        body = BODIES[number % len(BODIES)]
        files[f"src/m{number}.c"] = (
            '#include "types.h"\n'
            f"word f{number}(const word *a, word n) {{\n"
            f"  word h = {number + 3};\n"
            "  for (word i = 0; i < n; i++)\n"
            f"    if (i % {number + 2} == 1) {body}; else h += a[i & 3];\n"
            "  return h;\n}\n"
        )
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            place = folder / "tree" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            tar.add(place, f"code/{name}")
    return path


def run(path: Path, workdir: Path, seconds: float = 300.0) -> pipeline.Finished:
    workdir.mkdir()
    reference = ArtifactRef(digest="sha256:" + "0" * 64, name=path.name)
    return pipeline.run(
        build(learners()),
        LearnSpec(
            target=Target.COMPILE, archive=reference, held_out=0.5, compile=OPTIONS
        ),
        inputs={"archive": path},
        workdir=workdir,
        stop=from_budget({"seconds": seconds}, threading.Event()),
        seed=1,
    )


def job_of(workdir: Path, **fields: Any) -> CompileProblem:
    """A job on a program of the code base's language."""
    workdir.mkdir()
    spec = CompileSpec(source_text="int f(void) { return 3; }", **fields)
    return parse_problem(spec, {}, workdir)


def test_a_code_base_gets_a_card_and_pipelines(tmp_path: Path) -> None:
    finished = run(archive(tmp_path), tmp_path / "run")
    card = Card.model_validate_json((tmp_path / "run" / "card.json").read_bytes())
    assert card.target == "compile"
    assert card.sizes.held_out == 5
    assert all(0 <= row.shipped < 100 and 0 <= row.fitted < 100 for row in card.rows)
    assert {row.instance for row in card.rows} < {f"src/m{n}.c" for n in range(10)}
    assert card.curve
    figures = card.figures
    assert float(str(figures["saved_on_fit"])) >= float(
        str(figures["saved_on_fit_shipped"])
    )
    model = parse_model(
        (tmp_path / "run" / "model.safetensors").read_bytes(),
        id_="m",
        target="compile",
    )
    assert 0 < len(read_fitted(model.arrays).candidates) <= 3
    assert misfit(job_of(tmp_path / "same"), model) == ""
    smaller = job_of(tmp_path / "smaller", objective=Objective.CODE_BYTES)
    assert "it was mined for loadable_bytes, not code_bytes" in misfit(smaller, model)
    assert finished.result.summary["metric"].startswith("share saved")


def learner_of(path: Path, name: str, workdir: Path) -> Any:
    from search.domains.learn.types import Source

    return CompileLearner().prepare(
        [Source(name=name, path=path)], CompileLearnOptions(), workdir
    )


def test_modules_that_do_not_compile_are_named(tmp_path: Path) -> None:
    path = archive(tmp_path, 1, **{"src/bad.c": '#include "types.h"\nword f( {'})
    with pytest.raises(
        InvalidInput, match=r"src/bad\.c: expected a source that compiles"
    ):
        run(path, tmp_path / "run")
    other = tmp_path / "table.csv"
    other.write_text("a,b\n")
    with pytest.raises(InvalidInput, match=r"table\.csv: expected a module"):
        learner_of(other, "table.csv", tmp_path)


def test_a_single_upload_is_compiled_by_its_name(tmp_path: Path) -> None:
    upload = tmp_path / "3f2a"
    upload.write_text("int f(int x) { return x * 3; }\n")
    (instance,) = learner_of(upload, "own.c", tmp_path)
    assert instance.name == "own.c"
    assert instance.data.bitcode[:2] == b"BC"
    assert json.dumps(instance.key)
