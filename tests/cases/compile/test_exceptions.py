"""C++ with exceptions, and IR without target attributes, get a checked answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.compile.jobs import job, text
from trimtab.results import VerificationStatus

_GUARD = "struct G { int *n; ~G() { ++*n; } };\n"
PROGRAMS = {
    "catch": "int main() { try { throw 1; } catch (int e) { return e - 1; } }",
    "catch all": "static int f(int a) { if (a) throw a; return 0; }"
    " int main() { try { return f(1); } catch (...) { return 0; } }",
    "noexcept": "int g(int a) { if (a > 99) throw a; return a; } int f(int a) noexcept { "
    "return g(a) + 1; }"
    " int main() { return f(0) - 1; }",
    "destructor": _GUARD
    + "int f(int a) { if (a) throw 7; return 1; } int main() { int n = 0; try { G g{&n}; f(1); }"
    " catch (int e) { return e + n - 8; } return 1; }",
    "rethrow": "int main() { try { try { throw 3; } catch (...) { throw; } } catch (int e) { "
    "return e - 3; } return 1; }",
    "class": "struct E { virtual ~E() {} int v = 4; }; struct F : E {}; int main() { try { "
    "throw F(); } catch (E &e)"
    " { return e.v - 4; } return 1; }",
    "function try": _GUARD
    + "int n; struct S { G g; S() try : g{&n} { throw 1; } catch (int) { n += 4; } };"
    " int main() { try { S s; } catch (int) { return n - 5; } return 1; }",
    "global": "int n; struct S { S() { n = 5; } ~S() { n = 0; } } s; int main() { return n - 5; }",
}
IR = {
    # As rustc writes it: no target words, its own attributes.
    "rustc": 'source_filename = "lib.rs"\ntarget triple = "x86_64-unknown-linux-gnu"\n'
    "define i32 @add(i32 %a, i32 %b) unnamed_addr #0 {\nstart:\n  %c = add i32 %a, %b\n  %d = "
    "mul i32 %c, %a\n  ret i32 %d\n}\n"
    'attributes #0 = { nonlazybind uwtable "probe-stack"="inline-asm" }\n',
    "no attributes": "define i32 @f(i32 %a) {\n  %b = call i32 @g(i32 %a)\n  ret i32 %b\n}\n"
    "define internal i32 @g(i32 %a) {\n  %b = shl i32 %a, 3\n  ret i32 %b\n}\ndeclare void @h()\n",
    "one of two": "define i32 @f(i32 %a) #0 {\n  %b = call i32 @g(i32 %a)\n  ret i32 %b\n}\n"
    "define i32 @g(i32 %a) noinline {\n  %b = shl i32 %a, 3\n  ret i32 %b\n}\n"
    'attributes #0 = { minsize optsize "target-cpu"="x86-64" '
    '"target-features"="+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87" }\n',
}


def _valid(source: str, tmp_path: Path, language: str) -> None:
    done = job(source, tmp_path, language=language, evaluations=4)
    assert done.result.verification.status is VerificationStatus.VALID, (
        done.result.verification.detail
    )
    assert "makes the same" in done.result.verification.checks["replay"]
    assert done.rows["trimtab"] <= min(done.rows.values())


@pytest.mark.parametrize("name", ["throw_int.cpp", "throw_string.cpp"])
def test_the_cases_get_a_checked_answer(name: str, tmp_path: Path) -> None:
    _valid(text(name), tmp_path, "c++")


@pytest.mark.parametrize("name", PROGRAMS)
def test_exceptions(name: str, tmp_path: Path) -> None:
    _valid(PROGRAMS[name], tmp_path, "c++")


@pytest.mark.parametrize("name", IR)
def test_ir_of_other_front_ends(name: str, tmp_path: Path) -> None:
    _valid(IR[name], tmp_path, "llvm-ir")
