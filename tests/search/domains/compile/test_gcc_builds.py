"""Whole programs by gcc: what it is offered, its options, and its program as the answer."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from search.domains.compile.gcc_builds import GCC_LTO, build_gcc, build_gcc_lto
from search.domains.compile.parse.problem import CompileProblem, parse_problem
from search.pipeline import Finished
from solvers.llvm.elf_image import image_sizes
from solvers.llvm.frontend import SourceError
from tests.search.domains.compile.test_domain import run
from trimtab.results import VerificationStatus
from trimtab.specs.compile import CompileSpec, Image, Language, Run

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="gcc is not installed"
)
# A calculator: calls by name and by recursion, a table of nodes, a switch.
PROGRAM = """#include <stdio.h>
struct node { int kind, value; struct node *left, *right; };
static struct node nodes[16];
static int used;
static const char *p;
struct node *expression(void);
struct node *make(int kind, int value, struct node *left, struct node *right) {
  struct node *n = &nodes[used++];
  n->kind = kind; n->value = value; n->left = left; n->right = right;
  return n;
}
struct node *atom(void) {
  int v = 0;
  if (*p == '(') { p++; struct node *n = expression(); if (*p == ')') p++; return n; }
  while (*p >= '0' && *p <= '9') v = v * 10 + (*p++ - '0');
  return make(0, v, 0, 0);
}
struct node *term(void) {
  struct node *n = atom();
  while (*p == '*' || *p == '/') { int k = *p++; n = make(k, 0, n, atom()); }
  return n;
}
struct node *expression(void) {
  struct node *n = term();
  while (*p == '+' || *p == '-') { int k = *p++; n = make(k, 0, n, term()); }
  return n;
}
int eval(const struct node *n) {
  switch (n->kind) {
  case '+': return eval(n->left) + eval(n->right);
  case '-': return eval(n->left) - eval(n->right);
  case '*': return eval(n->left) * eval(n->right);
  case '/': { int d = eval(n->right); return d ? eval(n->left) / d : 0; }
  default: return n->value;
  }
}
int main(int argc, char **argv) {
  p = argc > 1 ? argv[1] : "1+2*(3-4)/5";
  printf("%d\\n", eval(expression()));
  return 0;
}
"""
QUICK = Image(plain_flags=False)
RUNS = (Run(), Run(arguments=("(8+2)*3-4/0",)))


def parsed(folder: Path, source: str = PROGRAM, **spec: Any) -> CompileProblem:
    folder.mkdir(exist_ok=True)
    given = {"image": QUICK, "runs": RUNS, "language": Language.C, **spec}
    return parse_problem(CompileSpec(source_text=source, **given), {}, folder)


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> CompileProblem:
    return parsed(tmp_path_factory.mktemp("problem"))


def test_the_whole_program_is_one_object_with_main_alone(
    problem: CompileProblem, tmp_path: Path
) -> None:
    build = build_gcc_lto(problem, tmp_path / "one")
    assert build is not None
    names = subprocess.run(
        ["nm", "-g", "--defined-only", tmp_path / "one" / "merged.o"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert names[2::3] == ["main"]
    done = subprocess.run(
        [build.file, "(8+2)*3-4/0"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "30\n"
    # The check of an answer builds again and compares the bytes.
    again = build_gcc_lto(problem, tmp_path / "two")
    assert again is not None
    assert again.file.read_bytes() == build.file.read_bytes()


def test_options_are_for_the_sources_and_for_the_program(
    problem: CompileProblem, tmp_path: Path
) -> None:
    plain = build_gcc_lto(problem, tmp_path / "plain")
    larger = build_gcc_lto(problem, tmp_path / "O3", flags=("-O3",))
    assert plain is not None
    assert larger is not None
    assert larger.options == ("-O3",)
    assert "-O3" in larger.compile_flags
    assert "-O3" in larger.link_flags
    sizes = [image_sizes(build.file.read_bytes()).flash for build in (plain, larger)]
    assert sizes[0] < sizes[1]
    with pytest.raises(SourceError, match="gcc does not compile") as refused:
        build_gcc_lto(problem, tmp_path / "bad", flags=("-fno-such-option",))
    assert "no-such-option" in refused.value.diagnostics


def test_library_functions_are_bound_as_asked(tmp_path: Path) -> None:
    lazy = parsed(tmp_path / "lazy", image=Image(plain_flags=False, lazy_binding=True))
    build = build_gcc_lto(lazy, tmp_path / "built")
    assert build is not None
    assert "-fno-plt" not in build.compile_flags


@pytest.mark.parametrize(
    "image",
    [Image(keep=("eval",)), Image(shared=True, keep=("eval",))],
    ids=["another-symbol", "shared-object"],
)
def test_a_program_that_others_look_into_is_not_built(
    tmp_path: Path, image: Image
) -> None:
    kept = parsed(tmp_path / "kept", image=image)
    assert build_gcc_lto(kept, tmp_path / "built") is None


def test_a_target_without_its_gcc_is_not_built(
    problem: CompileProblem, tmp_path: Path
) -> None:
    target = dataclasses.replace(problem.target, triple="mips-unknown-elf")
    other = dataclasses.replace(problem, target=target)
    assert build_gcc_lto(other, tmp_path) is None


CXX = """#include <cstdio>
#include <string>
struct Counter { int n = 0; ~Counter() { std::printf("%d\\n", n); } };
static Counter counter;
int main(int argc, char **) {
  std::string s = std::to_string(argc);
  try { if (argc > 0) throw 4; } catch (int e) { counter.n = e + (int)s.size(); }
  return 0;
}
"""


def test_cxx_has_functions_that_clang_alone_writes(tmp_path: Path) -> None:
    program = parsed(tmp_path / "cxx", CXX, language=Language.CXX, runs=(Run(),))
    assert program.image is not None
    assert "__clang_call_terminate" in program.image.kept
    build = build_gcc_lto(program, tmp_path / "built")
    assert build is not None
    done = subprocess.run([build.file], capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"


def answered(folder: Path, evaluations: int, **spec: Any) -> Finished:
    given = {"image": QUICK, "runs": RUNS, **spec}
    return run(
        folder,
        CompileSpec(source_text=PROGRAM, language=Language.C, **given),
        evaluations=evaluations,
        seconds=240.0,
    )


def test_gccs_program_is_the_answer_where_it_is_smallest(tmp_path: Path) -> None:
    # Without options of LLVM and decisions by function, gcc is ahead on this program.
    finished = answered(tmp_path, 5, llvm_options=False, per_function=False)
    result = finished.result
    assert result.summary["answer_by"] == GCC_LTO
    assert result.verification.status is VerificationStatus.VALID
    assert result.verification.checks["linked_again"] == "the same program"
    assert result.verification.checks["runs_equal"] == "2 of 2"
    # It is found by the search: the answer is compared with the user's own builds.
    assert result.summary["compared_with"] != GCC_LTO
    rows = {row["level"]: row["flash_bytes"] for row in result.summary["sizes"]}  # type: ignore[union-attr, index]
    assert rows["trimtab"] == rows[GCC_LTO] < rows["clang -Oz -flto, gc"]
    report = next(p.path for p in finished.produced if p.name == "report.md")  # type: ignore[union-attr]
    assert "-fwhole-program" in report.read_text()


def test_gcc_is_left_out_where_it_is_unwanted(tmp_path: Path) -> None:
    clang = parsed(tmp_path / "clang", image=Image(plain_flags=False, gcc=False))
    assert build_gcc_lto(clang, tmp_path / "built") is None
    assert build_gcc(clang, tmp_path / "objects") is None
