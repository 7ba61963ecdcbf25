"""Functions with their own options of the code generator: one object out of several."""

import subprocess
from pathlib import Path

import pytest

from solvers.llvm.engine import Engine
from solvers.llvm.lld import lld
from solvers.llvm.parts import OWN
from solvers.llvm.types import LlvmMissing, Outcome, Recipe
from trimtab.wrapper.clang import find_clang

SOURCE = r"""
#include <stdio.h>
static int calls;                        /* one for all parts */
static const char *const names[] = {"none", "one", "two"};
static __attribute__((noinline)) int step(int x) { return ++calls * 3 + x; }
static __attribute__((noinline)) int sum(const int *a, int n) {
    int s = 0;
    for (int i = 0; i < n; i++) s += step(a[i]) ^ (s << 1);
    return s;
}
static __attribute__((noinline)) int jump(int n) {
    static const void *const to[] = {&&a, &&b};
    goto *to[n & 1];
a:  return 7;
b:  return step(n);
}
__attribute__((used)) static int kept(void) { return 5; }
int puts(const char *);
int main(void) {
    int a[] = {3, 1, 4, 1, 5};
    printf("%d %d %d\n", sum(a, 5), jump(0), jump(3));
    puts(names[calls % 3]);
    return calls;
}
"""
OTHER = ("-regalloc=basic", "-disable-lsr")


def bitcode(folder: Path, text: str) -> bytes:
    (folder / "a.c").write_text(text)
    words = ["-O1", "-w", "-emit-llvm", "-c", "-ffunction-sections", "a.c", "-o", "a.bc"]
    subprocess.run([*find_clang(cxx=False), *words], cwd=folder, check=True)
    return (folder / "a.bc").read_bytes()


def recipe(*names: str, options: tuple[str, ...] = OTHER) -> Recipe:
    return Recipe(
        pipeline="verify", function_options=tuple((name, options) for name in names)
    )


@pytest.fixture(scope="module", autouse=True)
def linker() -> None:
    try:
        lld()
    except LlvmMissing as error:
        pytest.skip(str(error))


def test_a_program_of_parts_behaves_the_same(tmp_path: Path) -> None:
    with Engine(bitcode(tmp_path, SOURCE), workdir=tmp_path) as engine:
        parts = recipe("sum", "jump", "kept", "main", "gone")
        plain, mixed = (engine.build(one) for one in (Recipe(pipeline="verify"), parts))
    said = []
    for name, built in (("plain", plain), ("mixed", mixed)):
        (tmp_path / f"{name}.o").write_bytes(built.object)
        words = [*find_clang(cxx=False), f"{name}.o", "-o", name]
        subprocess.run(words, cwd=tmp_path, check=True)
        ran = subprocess.run([tmp_path / name], capture_output=True, check=False)
        said.append((ran.returncode, ran.stdout))
    assert said[0] == said[1]
    assert said[0][0] == 6
    assert plain.measured.sizes
    assert mixed.measured.sizes
    # The names are the module's, and the module is that of the passes.
    assert set(mixed.measured.sizes.functions) == set(plain.measured.sizes.functions)
    assert mixed.bitcode == plain.bitcode
    assert mixed.measured.program != plain.measured.program
    assert f"sum{OWN}".encode() in mixed.object


def test_parts_without_other_options_have_the_same_functions(tmp_path: Path) -> None:
    with Engine(bitcode(tmp_path, SOURCE), workdir=tmp_path) as engine:
        plain, mixed = engine.measure(
            [Recipe(pipeline="verify"), recipe("sum", options=())]
        )
    assert plain.sizes
    assert mixed.sizes
    for name in ("step", "sum", "main", "kept"):
        assert mixed.sizes.functions[name] == plain.sizes.functions[name]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('__asm__(".globl apart\\napart:\\n");', "assembly of its own"),
        ('int second(void) __attribute__((alias("main")));', "aliases"),
        (
            'void named(void) { __asm__ volatile("call step" ::: "memory"); }',
            "names an internal symbol",
        ),
    ],
)
def test_a_module_that_cannot_be_taken_apart_is_refused(
    tmp_path: Path, more: str, reason: str
) -> None:
    with Engine(bitcode(tmp_path, SOURCE + more), workdir=tmp_path) as engine:
        (measured,) = engine.measure([recipe("sum")])
    assert measured.outcome is Outcome.REFUSED
    assert reason in measured.detail


@pytest.mark.parametrize("option", ["-inline-threshold=0", "-fast-isel", "-o=/tmp/x"])
def test_other_options_than_of_code_generation_are_refused(
    tmp_path: Path, option: str
) -> None:
    with Engine(bitcode(tmp_path, SOURCE), workdir=tmp_path) as engine:
        (measured,) = engine.measure([recipe("sum", options=(option,))])
    assert measured.outcome is Outcome.REFUSED
    assert "function_options" in measured.detail


def test_the_options_are_part_of_a_recipe() -> None:
    one = recipe("sum")
    assert Recipe.from_json(one.as_json()) == one
    assert not one.by_opt
    assert one.digest != recipe("sum", options=()).digest
    # Recipes that have none keep their digest.
    assert "function_options" not in Recipe(pipeline="verify").as_json()
