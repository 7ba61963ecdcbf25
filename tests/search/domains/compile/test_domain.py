"""Kind `compile` by the contract of all kinds, and its own promises."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search import pipeline
from search.domains.compile import build
from search.domains.compile.answer import CompileSolution
from search.domains.compile.encode import OZ_PATIENCE
from search.kinds import KINDS
from search.pipeline import Finished
from search.stop import from_budget
from search.types import InvalidInput
from solvers.llvm.children import BUSY
from solvers.llvm.elf import sizes_of
from solvers.llvm.engine import Engine
from solvers.llvm.install import find_llvm
from solvers.llvm.types import EngineDied, EngineLimits, Recipe
from tests.contracts.domain import DomainContract
from trimtab.results import Incumbent, Reason, VerificationStatus
from trimtab.specs.common import ArtifactRef, Spec
from trimtab.specs.compile import Build, CompileSpec, CompileTarget, Language, Run

PROGRAM = r"""
#include <stdio.h>
#include <string.h>
static unsigned table[256];
static void fill(void) {
  for (unsigned i = 0; i < 256; i++) {
    unsigned h = i;
    for (int k = 0; k < 8; k++) h = h & 1 ? h >> 1 ^ 0xedb88320u : h >> 1;
    table[i] = h;
  }
}
unsigned crc(const char *s, unsigned n) {
  unsigned h = ~0u;
  while (n--) h = table[(h ^ (unsigned char)*s++) & 255] ^ h >> 8;
  return ~h;
}
int words(const char *s) {
  int n = 0, in = 0;
  for (; *s; s++) {
    if (*s == ' ' || *s == '\t' || *s == '\n') in = 0;
    else if (!in) { in = 1; n++; }
  }
  return n;
}
int main(int argc, char **argv) {
  fill();
  const char *s = argc > 1 ? argv[1] : "the quick brown fox";
  printf("%08x %d\n", crc(s, strlen(s)), words(s));
  return 0;
}
"""
REFERENCE = ArtifactRef(digest="sha256:" + "0" * 64, name="program.c")


def run(
    folder: Path,
    spec: CompileSpec,
    files: Mapping[str, Path] | None = None,
    **budget: Any,
) -> Finished:
    workdir = folder / "work"
    workdir.mkdir(parents=True)
    stop = from_budget({"seconds": 30.0, "evaluations": 12} | budget, threading.Event())
    return pipeline.run(
        build(), spec, inputs=files or {}, workdir=workdir, stop=stop, seed=1
    )


def refused(
    folder: Path, spec: CompileSpec, files: Mapping[str, Path] | None = None
) -> str:
    with pytest.raises(InvalidInput) as caught:
        run(folder, spec, files)
    return str(caught.value)


def archive(folder: Path, files: Mapping[str, str]) -> Path:
    path = folder / "program.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


class TestCompile(DomainContract):
    kind = KINDS["compile"]
    budget = {"seconds": 30.0, "evaluations": 10}  # noqa: RUF012

    def good(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        runs = (Run(arguments=("a b c",)), Run(arguments=(), expected_exit=0))
        return CompileSpec(source_text=PROGRAM, language=Language.C, runs=runs), {}

    def bad(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        return CompileSpec(
            source_text="int main(void) { return x; }", language=Language.C
        ), {}

    def tampered(self, solution: Any) -> Any:
        return replace(
            solution,
            sizes=replace(
                solution.sizes, loadable_bytes=solution.sizes.loadable_bytes - 1
            ),
        )


def test_oz_is_kept_by_a_run_that_dies_when_the_search_begins(tmp_path: Path) -> None:
    domain = build()
    spec = CompileSpec(source_text=PROGRAM, language=Language.C)
    problem = domain.parse(spec, {}, tmp_path)
    encoding = domain.encode(problem)
    encoding.engine.kill()
    reported: list[tuple[Incumbent, Callable[[], CompileSolution]]] = []

    def record(incumbent: Incumbent, solution: Any = None) -> None:
        reported.append((incumbent, solution))

    stop = from_budget({"seconds": 30.0}, threading.Event())
    with pytest.raises(EngineDied):
        domain.search(problem, encoding, stop, np.random.default_rng(0), record)
    ((incumbent, solution),) = reported
    kept = domain.keep(problem, solution())
    restored = domain.restore(problem, kept)
    assert restored.objective == incumbent.objective
    checked = domain.verify(problem, restored.solution)
    assert checked.status is VerificationStatus.VALID


def test_oz_has_more_time_than_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine(b"define i32 @f() {\n ret i32 1\n}\n") as engine:
        asked: list[float] = []

        def ask(request: dict[str, Any], *, seconds: float, stopped: object) -> Any:
            asked.append(seconds)
            raise EngineDied("not asked")

        assert engine._process is not None
        monkeypatch.setattr(engine._process, "ask", ask)
        monkeypatch.setattr(engine, "_restart", lambda: None)
        for patience in (1.0, OZ_PATIENCE):
            with pytest.raises(EngineDied):
                engine.build(Recipe(pipeline="no-op-module"), patience=patience)
    candidate_s = EngineLimits().candidate_s
    assert asked[-1] - asked[0] == pytest.approx(BUSY * candidate_s * (OZ_PATIENCE - 1))


def test_the_answer_is_checked_run_and_not_larger_than_oz(tmp_path: Path) -> None:
    finished = run(
        tmp_path,
        CompileSpec(
            source_text=PROGRAM, language=Language.C, runs=(Run(arguments=("x y",)),)
        ),
    )
    result = finished.result
    assert result.verification.status is VerificationStatus.VALID
    assert result.verification.checks["runs_equal"] == "1 of 1"
    assert result.objective is not None
    assert result.objective <= result.summary["oz"]  # type: ignore[operator]
    names = {p.name for p in finished.produced}
    assert {
        "optimised.bc",
        "optimised.o",
        "pipeline.txt",
        "recipe.json",
        "sizes.svg",
        "report.md",
    } <= names
    assert result.weights["compile-coreset"]


def test_a_program_without_a_main_is_unvalidated(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        CompileSpec(
            source_text="int twice(int x) { return 2 * x; }", language=Language.C
        ),
    ).result
    assert result.verification.status is VerificationStatus.VALID
    assert "unvalidated" in str(result.verification.checks["runs_equal"])
    assert "unvalidated" in result.termination.detail


def test_options_of_llvm_can_be_left_out(tmp_path: Path) -> None:
    for allowed in (True, False):
        spec = CompileSpec(source_text=PROGRAM, language=Language.C, llvm_options=allowed)
        finished = run(tmp_path / str(allowed), spec, evaluations=40)
        (recipe,) = [
            json.loads(p.path.read_text())
            for p in finished.produced
            if p.name == "recipe.json"
        ]
        (commands,) = [
            p.path.read_text() for p in finished.produced if p.name == "pipeline.txt"
        ]
        assert bool(recipe["options"]) is allowed
        assert all(option in commands for option in recipe["options"])
        assert finished.result.verification.status is VerificationStatus.VALID


CALLS = """
void sink(int, int, int, int, int, int);
int calls(void) { sink(1, 2, 3, 4, 5, 6); sink(7, 8, 9, 10, 11, 12); return 0; }
int small(int b) { return b / 7; }
"""


def test_the_commands_repeat_decisions_on_single_functions(tmp_path: Path) -> None:
    """The lines of `pipeline.txt`, run in a shell, make an object of the answer's sizes.

    `minsize` is off for one function.
    """
    finished = run(
        tmp_path,
        CompileSpec(source_text=CALLS, language=Language.C, llvm_options=False),
        evaluations=9,
    )
    files = {p.name: p.path for p in finished.produced}
    recipe = json.loads(files["recipe.json"].read_text())
    assert recipe["late_attributes"] == [["calls", "minsize", False]]
    assert finished.result.verification.status is VerificationStatus.VALID
    folder = tmp_path / "by-hand"
    folder.mkdir()
    shutil.copy(files["original.bc"], folder / "original.bc")
    tools = find_llvm().tool("opt").parent
    lines = [
        line
        for line in files["pipeline.txt"].read_text().splitlines()
        if not line.startswith("#")
    ]
    assert [line.split()[0] for line in lines] == ["opt", "opt", "llc"]
    subprocess.run(
        ["sh", "-e", "-c", "\n".join(lines)],
        cwd=folder,
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        check=True,
    )
    ours, theirs = (
        sizes_of(path.read_bytes())
        for path in (folder / "optimised.o", files["optimised.o"])
    )
    assert (ours.sections, ours.functions, ours.unwind) == (
        theirs.sections,
        theirs.functions,
        theirs.unwind,
    )


def test_another_processor(tmp_path: Path) -> None:
    spec = CompileSpec(
        source_text="int twice(int x) { return 2 * x; }",
        language=Language.C,
        target=CompileTarget(triple="aarch64-unknown-linux-gnu"),
    )
    assert run(tmp_path, spec).result.verification.status is VerificationStatus.VALID


def test_an_archive_of_sources(tmp_path: Path) -> None:
    path = archive(
        tmp_path,
        {
            "p/include/a.h": "int half(int);\n",
            "p/src/a.c": '#include "a.h"\nint half(int x) { return x / N; }\n',
            "p/src/main.c": '#include "a.h"\n#include <stdio.h>\n'
            'int main(void) { printf("%d", half(9)); return 0; }\n',
        },
    )
    spec = CompileSpec(
        source=REFERENCE.model_copy(update={"name": "program.tar.gz"}),
        build=Build(include=("include",), defines=("N=2",)),
        whole_program=False,
    )
    result = run(tmp_path, spec, {"source": path}).result
    assert result.verification.checks["runs_equal"] == "1 of 1"
    assert "kept" not in result.summary


def test_the_compilers_own_message_is_reported(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        CompileSpec(source_text="int f(void) { return y; }", language=Language.C),
    )
    assert "use of undeclared identifier 'y'" in message
    assert str(tmp_path) not in message


def test_llvms_own_message_is_reported(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        CompileSpec(source_text="define i32 @f() { ret i64 0 }", language=Language.IR),
    )
    assert "i32" in message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"target": CompileTarget(triple="banana-unknown-linux")}, "banana"),
        ({"build": Build(flags=("-fplugin=evil.so",))}, "-fplugin"),
        (
            {"runs": (Run(arguments=("hang",), timeout_seconds=0.5),)},
            "did not end within 0.5 s",
        ),
        ({"runs": (Run(expected_exit=3),)}, "3 was expected"),
    ],
)
def test_specs_that_make_no_sense_are_refused(
    tmp_path: Path, spec: dict[str, Any], words: str
) -> None:
    text = "#include <unistd.h>\n"
    text += "int main(int n, char **v) { if (n > 1) for (;;) pause(); return 0; }"
    assert words in refused(
        tmp_path, CompileSpec(source_text=text, language=Language.C, **spec)
    )


def test_runs_require_a_main(tmp_path: Path) -> None:
    spec = CompileSpec(
        source_text="int f(void) { return 1; }", language=Language.C, runs=(Run(),)
    )
    assert "main" in refused(tmp_path, spec)


def test_a_path_out_of_the_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"../evil.c": "int x;"})
    spec = CompileSpec(source=REFERENCE.model_copy(update={"name": "program.tar.gz"}))
    assert "evil.c" in refused(tmp_path, spec, {"source": path})
    assert not (tmp_path.parent / "evil.c").exists()


def test_a_program_that_does_not_repeat_itself_proves_nothing(tmp_path: Path) -> None:
    text = "#include <stdio.h>\n#include <time.h>\nint main(void) { struct timespec t; "
    text += 'clock_gettime(CLOCK_REALTIME, &t); printf("%ld", t.tv_nsec); return 0; }'
    result = run(tmp_path, CompileSpec(source_text=text, language=Language.C)).result
    assert "unvalidated" in str(result.verification.checks["runs_equal"])
    assert result.termination.reason in (Reason.FEASIBLE, Reason.COMPLETED)
