"""Local search of product mode on a small real program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.compile.search.candidates import (
    MERGED_FUNCTIONS,
    TAILS,
    candidate_space,
    function_tails,
)
from search.domains.compile.search.edits import Candidate, Edit, Op
from search.domains.compile.search.local_search import (
    LocalSearchResult,
    OnBetter,
    ProductSpace,
    SearchLimits,
    optimise,
)
from solvers.llvm.engine import Engine
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Measured, Metric, Recipe, Target
from tests.solvers.llvm.modules import UNWOUND
from trimtab.specs.compile import Tier

SOURCE = r"""
static unsigned step(unsigned h, unsigned c) {
  h ^= c;
  for (int i = 0; i < 8; i++) h = h & 1 ? h >> 1 ^ 0xedb88320u : h >> 1;
  return h;
}
unsigned crc(const unsigned char *p, unsigned n) {
  unsigned h = ~0u;
  while (n--) h = step(h, *p++);
  return ~h;
}
int kind(const char *s) {
  int digits = 0, letters = 0, other = 0;
  for (; *s; s++) {
    if (*s >= '0' && *s <= '9') digits++;
    else if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')) letters++;
    else switch (*s) {
      case ' ': case '\t': break;
      case '_': letters++; break;
      case '-': digits += letters == 0; break;
      default: other++;
    }
  }
  if (other) return 3;
  if (digits && letters) return 2;
  return letters ? 1 : 0;
}
void sort(int *a, int n) {
  for (int i = 1; i < n; i++) {
    int v = a[i], j = i;
    while (j > 0 && a[j - 1] > v) { a[j] = a[j - 1]; j--; }
    a[j] = v;
  }
}
"""

SOURCE_OF_TWINS = """
define i32 @one(i32 %x) unnamed_addr {
  %a = mul i32 %x, 12345
  %b = urem i32 %a, 77
  %c = xor i32 %b, %x
  %d = mul i32 %c, 54321
  ret i32 %d
}
define i32 @other(i32 %x) unnamed_addr {
  %a = mul i32 %x, 12345
  %b = urem i32 %a, 77
  %c = xor i32 %b, %x
  %d = mul i32 %c, 54321
  ret i32 %d
}
"""
SOURCE_OF_PUSHES = """
target triple = "x86_64-unknown-linux-gnu"
declare i32 @f(i32, i32)
define i32 @calls(i32 %a, i32 %b, i32 %c, i32 %d, i32 %e) minsize optsize uwtable {
  %p = call i32 @f(i32 %a, i32 %b)
  %q = call i32 @f(i32 %c, i32 %d)
  %r = call i32 @f(i32 %p, i32 %e)
  %s = call i32 @f(i32 %a, i32 %q)
  %t = call i32 @f(i32 %b, i32 %c)
  %u = add i32 %r, %s
  %v = call i32 @f(i32 %u, i32 %d)
  %w = call i32 @f(i32 %v, i32 %p)
  %x = mul i32 %w, %t
  %y = sub i32 %x, %q
  ret i32 %y
}
define i32 @leaf(i32 %a) minsize optsize uwtable {
  ret i32 %a
}
define i32 @one(i32 %a) minsize optsize uwtable {
  %b = call i32 @f(i32 %a, i32 1)
  %c = add i32 %b, 1
  ret i32 %c
}
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("module")
    (folder / "a.c").write_text(SOURCE)
    return compile_to_bitcode([folder / "a.c"], workdir=folder, target=Target())[0]


def searched(
    module: bytes,
    *,
    on_better: OnBetter = lambda name, measured: True,
    seed: int = 1,
    start: str = "",
    limits: SearchLimits,
    **space: Any,
) -> LocalSearchResult:
    """Search with the first five changes as the coreset; `space` replaces parts of the space."""
    with Engine(module) as engine:
        defaults = engine.default_pipelines()
        (baseline,) = engine.measure([Recipe(pipeline=start or defaults["Oz"])])
        changes = [c for c in candidate_space(defaults) if c.tier is Tier.DEFAULT]
        whole = ProductSpace(
            metric=Metric.LOADABLE_BYTES,
            defaults=defaults,
            coreset=changes[:5],
            changes=changes,
            tails=function_tails(defaults, experimental=False),
        )
        return optimise(
            engine,
            replace(whole, **space),
            limits,
            baseline=baseline,
            rng=np.random.default_rng(seed),
            on_better=on_better,
        )


def size(measured: Measured) -> int:
    assert measured.sizes is not None
    return measured.sizes.loadable_bytes


def test_the_program_shrinks_within_the_budget_and_never_grows(module: bytes) -> None:
    offered: list[int] = []

    def accept(name: str, measured: Measured) -> bool:
        offered.append(size(measured))
        return True

    result = searched(
        module,
        limits=SearchLimits(evaluations=50),
        on_better=accept,
        start="function(mem2reg)",
    )
    with Engine(module) as engine:
        (start,) = engine.measure([Recipe(pipeline="function(mem2reg)")])
        (again,) = engine.measure([result.best.recipe])
    assert size(result.best) < size(start)
    assert size(again) == size(result.best), "the recipe repeats it"
    assert len(result.table) <= 50
    assert offered == sorted(offered, reverse=True)
    assert offered[-1] == size(result.best)
    moves = [
        measured.recipe.digest
        for name, measured in result.table
        if not name.startswith("tail:")
    ]
    assert len(set(moves)) == len(moves), "nothing is tried twice"


def test_the_same_seed_gives_the_same_search(module: bytes) -> None:
    one, two = (searched(module, limits=SearchLimits(evaluations=25)) for _ in range(2))
    assert [m.recipe for _, m in one.table[:5]] == [m.recipe for _, m in two.table[:5]]
    assert one.best.sizes is not None


def test_patience_ends_the_search(module: bytes) -> None:
    result = searched(
        module,
        limits=SearchLimits(evaluations=5000, patience=12),
        tails={},
        on_better=lambda name, measured: False,
        inlining=False,
    )
    assert 12 <= len(result.table) <= 12 + 5 + 2, (
        "five of the coreset, two for minsize, then twelve"
    )


def test_the_last_time_is_left_to_the_tails(module: bytes) -> None:
    result = searched(
        module, limits=SearchLimits(evaluations=400, only_tails=lambda: True)
    )
    names = [name for name, _ in result.table]
    assert len([name for name in names if name.startswith("tail:")]) >= 3
    assert len(names) <= 5 + len(TAILS) + 1


def test_coreset_is_limited_and_changes_are_drawn_by_usefulness(module: bytes) -> None:
    with Engine(module) as engine:
        space = [
            c
            for c in candidate_space(engine.default_pipelines())
            if c.tier is Tier.DEFAULT
        ]
    useful = np.full(len(space), 1e-12)
    chosen = next(i for i, c in enumerate(space) if c.name == "drop-indvars")
    useful[chosen] = 1.0
    scores = -np.arange(5, dtype=float)
    result = searched(
        module,
        limits=SearchLimits(evaluations=8, max_coreset=2),
        usefulness=useful,
        scores=scores,
        tails={},
        inlining=False,
        minsize=False,
    )
    names = [name for name, _ in result.table]
    assert names[:2] == [space[0].name, space[1].name]
    assert space[2].name not in names
    assert any("drop-indvars" in name for name in names[2:4])


def test_refused_programs_do_not_become_the_best(module: bytes) -> None:
    result = searched(
        module,
        limits=SearchLimits(evaluations=20),
        on_better=lambda name, measured: False,
    )
    with Engine(module) as engine:
        (oz,) = engine.measure([Recipe(pipeline=engine.default_pipeline("Oz"))])
    assert result.best.ir_sha256 == oz.ir_sha256


def test_minsize_is_removed_from_functions_that_are_smaller_without_it() -> None:
    # minsize divides by idiv, which is shorter
    both = UNWOUND.replace(b"ret i32 %b", b"%c = sdiv i32 %b, 7\n  ret i32 %c")

    def decided(evaluations: int = 2, **space: Any) -> LocalSearchResult:
        limits = SearchLimits(evaluations=evaluations, max_coreset=0)
        return searched(
            both, limits=limits, changes=(), tails={}, inlining=False, **space
        )

    result = decided()
    assert result.best.recipe.late_attributes == (("calls", "minsize", False),)
    assert [name for name, _ in result.table] == ["Oz+minsize", "Oz+minsize"]
    (_, whole), (_, chosen) = result.table
    assert size(chosen) < min(size(whole), size(decided(0).best))
    code = decided(metric=Metric.CODE_BYTES)
    assert code.best.recipe.late_attributes == (), "of code alone, pushes are shorter"
    assert decided(minsize=False).table == ()


def test_minsize_is_restored_where_the_options_removed_it() -> None:
    both = UNWOUND.replace(b"ret i32 %b", b"%c = sdiv i32 %b, 7\n  ret i32 %c")
    without = Candidate(
        name="without",
        edits=(Edit(op=Op.OPTION, text="-force-remove-attribute=minsize"),),
    )
    result = searched(
        both,
        limits=SearchLimits(evaluations=3),
        coreset=[without],
        changes=(),
        tails={},
        inlining=False,
    )
    assert result.best.recipe.options == ("-force-remove-attribute=minsize",)
    assert result.best.recipe.late_attributes == (("small", "minsize", True),)


def test_additions_join_the_best_program_and_stay_where_they_gain(module: bytes) -> None:
    """Two equal functions become one; what gains nothing is dropped again."""
    twins = SOURCE_OF_TWINS.encode()
    result = searched(
        twins,
        coreset=(),
        changes=(),
        tails={},
        minsize=False,
        inlining=False,
        additions=(
            Candidate(name="nothing", edits=(Edit(op=Op.APPEND, text="verify"),)),
            MERGED_FUNCTIONS,
        ),
        limits=SearchLimits(evaluations=4),
    )
    assert [name for name, _ in result.table] == ["Oz+nothing", "Oz+merge-functions"]
    assert [edit.text for edit in result.candidate.edits] == ["mergefunc"]


def test_functions_get_their_own_code_generation(module: bytes) -> None:
    """Two sets, `minsize` toggled, and the mix: never more compilations than there are."""
    sets = (("-regalloc=basic",), ("-disable-lsr", "-misched=ilpmin"))
    for evaluations in (1, 4):
        result = searched(
            module,
            coreset=(),
            changes=(),
            tails={},
            inlining=False,
            metric=Metric.CODE_BYTES,
            code_sets=sets,
            limits=SearchLimits(evaluations=evaluations),
        )
        assert len(result.table) <= evaluations
    names = [name for name, _ in result.table]
    assert names[:2] == ["Oz+code", "Oz+code"]
    assert names[-1].endswith("+functions")
    ((_, last),) = result.table[-1:]
    whole = [one for _, one in result.table[:-1] if one.sizes is not None]
    assert last.sizes is not None
    for name, code in last.sizes.functions.items():
        assert code <= max(one.sizes.functions[name] for one in whole if one.sizes)


def test_functions_get_frame_pointers_where_these_are_smaller() -> None:
    """Many pushes are described in .eh_frame, each in three bytes; a leaf has none."""
    pushes = SOURCE_OF_PUSHES.encode()
    result = searched(
        pushes,
        coreset=(),
        changes=(),
        tails={},
        minsize=False,
        inlining=False,
        frame_pointers=True,
        limits=SearchLimits(evaluations=2),
    )
    assert {name for name, _ in result.table} == {"Oz+frame-pointer"}
    row = ("calls", "frame-pointer=non-leaf", True)
    assert row in result.best.recipe.late_attributes
    assert not result.best.recipe.by_opt
    with Engine(pushes) as engine:
        recipe = replace(result.best.recipe, late_attributes=())
        (without,) = engine.measure([recipe])
        owned = pushes.replace(b"uwtable {", b'uwtable "frame-pointer"="none" {')
        with Engine(owned) as other:
            (kept,) = other.measure([result.best.recipe])
    assert result.best.sizes is not None
    assert without.sizes is not None
    assert kept.sizes is not None
    assert result.best.sizes.loadable_bytes < without.sizes.loadable_bytes
    assert kept.sizes.loadable_bytes == without.sizes.loadable_bytes, "the owner's choice"


def compiled(folder: Path, source: str) -> bytes:
    (folder / "s.c").write_text(source)
    (module,) = compile_to_bitcode(
        [folder / "s.c"], workdir=folder, target=Target(triple="x86_64-unknown-linux-gnu")
    )
    return module


SEARCHES = """
char *strchr(const char *, int);
unsigned long strlen(const char *);
void *memchr(const void *, int, unsigned long);
const char *vowel(const char *s) { return strchr("aeiouAEIOUyY", *s); }
const char *digit(const char *s) { return strchr("0123456789abcdef", *s); }
int same(const char *s) { return strlen(s) == 3; }
"""


def test_library_functions_that_llvm_adds_are_left_out_where_that_is_smaller(
    tmp_path: Path,
) -> None:
    """strchr in a constant becomes memchr, with a length to pass and a symbol to import."""
    module = compiled(tmp_path, SEARCHES)
    given: dict[str, Any] = {
        "coreset": (), "changes": (), "tails": {}, "minsize": False, "inlining": False,
        "limits": SearchLimits(evaluations=3),
    }  # fmt: skip
    result = searched(module, library_calls=True, **given)
    assert [name for name, _ in result.table] == ["Oz+library-calls"]
    assert result.best.recipe.attributes == (("*", "no-builtin-memchr", True),)
    with Engine(module) as engine:
        text = engine.build(result.best.recipe).text
    assert "@memchr" not in text
    assert text.count("@strchr(") == 3
    # A program that calls the function itself keeps it.
    own = SEARCHES + "void *m(void *p) { return memchr(p, 1, 99); }\n"
    module = compiled(tmp_path, own)
    assert not searched(module, library_calls=True, **given).table
