"""The audit bisects faults to their first bad pass and resumes from its output."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.domains.compile.search.behaviour import Verdict
from solvers.llvm.engine import Engine
from solvers.llvm.install import find_llvm
from solvers.llvm.types import Recipe
from trimtab.specs.common import ArtifactRef
from trimtab.specs.compile import CompileSpec
from workers.bench.compile import audit, cli

_MODULE = b"""
define internal i32 @marked() noinline {
  ret i32 7
}
define i32 @main() {
  %a = alloca i32
  store i32 0, ptr %a
  %v = load i32, ptr %a
  ret i32 %v
}
"""


def oracle(*, cases: int = 1) -> Any:
    """Stand-in for the oracle: a program without the function `marked` behaves differently."""

    def compare(code: bytes) -> Verdict:
        return Verdict(equal=b"marked" in code, compared=cases, detail="stdout differs")

    return SimpleNamespace(
        cases=("case",) * cases, compare=compare, why_unvalidated="it has no runs"
    )


@pytest.mark.parametrize(
    ("pipeline", "outcome", "last"),
    [
        ("function(mem2reg),function(adce)", "equal", None),
        ("function(mem2reg),globaldce,function(adce)", "miscompiled", "globaldce"),
        ("function(mem2reg),internalize,globaldce", "refused", "internalize"),
    ],
)
def test_a_fault_is_bisected_to_its_first_bad_pass(
    pipeline: str, outcome: str, last: str | None
) -> None:
    with Engine(_MODULE.replace(b"@main", b"@exported")) as engine:
        finding = audit._outcome(engine, oracle(), Recipe(pipeline=pipeline), {})
    assert finding["outcome"] == outcome
    assert finding.get("reproducer", {}).get("last_pass") == last
    assert finding.get("reproducer", {}).get("together") == last, (
        "mem2reg has nothing to do with it"
    )


def test_equal_programs_are_judged_once_and_programs_without_runs_reported() -> None:
    outcomes: dict[str, dict[str, Any]] = {}
    with Engine(_MODULE) as engine:
        first = audit._outcome(
            engine, oracle(), Recipe(pipeline="function(mem2reg)"), outcomes
        )
        again = audit._outcome(
            engine, oracle(cases=0), Recipe(pipeline="function(mem2reg,adce)"), outcomes
        )
        other = audit._outcome(
            engine, oracle(cases=0), Recipe(pipeline="function(adce)"), outcomes
        )
    assert first == again
    assert len(outcomes) == 2
    assert (other["outcome"], other["detail"]) == ("not run", "it has no runs")


def test_an_audit_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, pipelines = tmp_path / "audit.jsonl", tmp_path / "mine.json"
    few = [
        "--generated",
        "1",
        "--csmith",
        "0",
        "--whole",
        "--pipelines",
        str(pipelines),
        "--out",
        str(out),
    ]
    few += ["--summary", str(tmp_path / "summary.jsonl")]
    for texts in (["function(mem2reg)"], ["function(mem2reg)", "function(sroa)"]):
        pipelines.write_text(json.dumps(texts))
        assert cli.main(["audit", *few]) == 0
    lines = [json.loads(text) for text in out.read_text().splitlines()]
    assert [line["pipeline"] for line in lines] == ["function(mem2reg)", "function(sroa)"]
    assert {(line["program"], line["outcome"], line["set"]) for line in lines} == {
        ("generated-1000", "equal", "mine.json")
    }
    summary = [
        json.loads(text) for text in (tmp_path / "summary.jsonl").read_text().splitlines()
    ]
    assert [(line["pipeline"], line["outcomes"], line["broken"]) for line in summary] == [
        ("function(mem2reg)", {"equal": 1}, []),
        ("function(sroa)", {"equal": 1}, []),
    ]
    assert (
        "mine.json: 2 pipelines on 1 programs: 2 equal; 0 pipelines miscompile"
        in capsys.readouterr().out
    )


def test_every_set_is_read_by_this_llvm(tmp_path: Path) -> None:
    options = SimpleNamespace(pipelines=None, sets=audit.SETS, flat=3, seed=0)
    rows = list(audit._pipelines(options))  # type: ignore[arg-type]
    assert {row["set"] for row in rows} == set(audit.SETS)
    with Engine(_MODULE) as engine:
        assert [
            refusal
            for refusal in engine.check([row["pipeline"] for row in rows])
            if refusal is not None
        ] == []


# No undefined behaviour; prints 100. LLVM 22.1.8's attributor, which no default pipeline has,
# makes later passes lose stores.
_BROKEN_BY_ATTRIBUTOR = r"""
#include <stdio.h>
#include <string.h>
struct machine { unsigned stack[4], sum, top; };
static unsigned steps(struct machine *m, const unsigned char *code, unsigned n) {
  while (n--) {
    unsigned char op = *code++;
    switch (op) {
    case 0: if (m->top < 4) m->stack[m->top++] = op + 7u; break;
    case 1: if (m->top) m->top--; break;
    default: m->sum += m->top;
    }
  }
  return m->sum;
}
int main(void) {
  struct machine m;
  unsigned char code[8];
  memset(&m, 0, sizeof m);
  for (int i = 0; i < 8; i++) code[i] = (unsigned char)(i * 5 % 3);
  unsigned h = steps(&m, code, 8);
  for (unsigned i = 0; i < m.top; i++) h = h * 31 + m.stack[i];
  printf("%u\n", h);
  return 0;
}
"""


def test_a_real_miscompile_is_bisected(tmp_path: Path) -> None:
    file = tmp_path / "program.c"
    file.write_text(_BROKEN_BY_ATTRIBUTOR)
    spec = CompileSpec(source=ArtifactRef(digest="sha256:" + "0" * 64, name=file.name))
    pipeline = (
        "attributor,function(sroa<modify-cfg>,early-cse),function(loop-mssa(licm),adce)"
    )
    rows = [
        {"set": "mine", "name": str(i), "pipeline": text}
        for i, text in enumerate(["function(sroa)", pipeline])
    ]
    (tmp_path / "work").mkdir()
    right, wrong = audit._of_program(spec, file, tmp_path / "work", rows)
    assert right["outcome"] == "equal"
    if find_llvm().version != "22.1.8" and wrong["outcome"] == "equal":
        pytest.skip("this LLVM makes the program right")
    assert wrong["outcome"] == "miscompiled"
    assert (
        wrong["reproducer"]["together"]
        == "attributor,function(sroa<modify-cfg>),function(loop-mssa(licm))"
    )
    assert wrong["reproducer"]["last_pass"] == "licm", (
        "the pass that shows it, not the one to blame"
    )
