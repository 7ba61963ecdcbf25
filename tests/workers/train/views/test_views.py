"""Views keep their labels: optima, reflections, behaviour and costs are computed independently."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from cost_models.sharding.generator import meta_like
from solvers.field.moments import MomentMethod, antenna
from solvers.llvm.install import find_llvm
from solvers.llvm.programs import LlvmPrograms
from solvers.llvm.types import Target
from solvers.types import Extras, MilpModel
from tests.solvers.field.boards import FEED, random_mask, tables
from workers.train.views.antennas import SYMMETRIES, antenna_view
from workers.train.views.models import model_view
from workers.train.views.programs import PASSES, program_view, random_pipeline
from workers.train.views.tables import shuffled_tables, table_subset


def small_model(rng: np.random.Generator) -> MilpModel:
    n, m = int(rng.integers(2, 7)), int(rng.integers(1, 5))
    matrix = sparse.csr_matrix(rng.integers(-2, 4, (m, n)).astype(float))
    middle = matrix @ rng.integers(0, 3, n)  # a feasible point exists
    return MilpModel(
        c=rng.integers(-5, 6, n).astype(float),
        col_lower=np.zeros(n),
        col_upper=np.full(n, 3.0),
        integrality=rng.random(n) < 0.7,
        indptr=matrix.indptr,
        indices=matrix.indices,
        data=matrix.data,
        row_lower=np.where(rng.random(m) < 0.5, -np.inf, middle - 1),
        row_upper=middle + rng.integers(0, 3, m),
        col_names=tuple(f"x{j}" for j in range(n)),
    )


def matrix_of(model: MilpModel) -> sparse.csr_matrix:
    shape = (len(model.row_lower), len(model.c))
    return sparse.csr_matrix((model.data, model.indices, model.indptr), shape=shape)


def optimum(model: MilpModel) -> float:
    result = milp(
        model.c,
        constraints=LinearConstraint(matrix_of(model), model.row_lower, model.row_upper),
        bounds=Bounds(model.col_lower, model.col_upper),
        integrality=model.integrality.astype(int),
    )
    assert result.success
    return float(result.fun)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_a_view_of_a_model_has_the_same_optimum_and_the_same_feasible_points(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    model = small_model(rng)
    view = model_view(model, rng)
    # The solver accepts integers that are off by 1e-6; costs and rows multiply that.
    assert optimum(view.model) == pytest.approx(optimum(model), abs=1e-4)
    for _ in range(20):
        x = rng.integers(0, 4, len(model.c)).astype(float)
        y = view.original(x)
        assert view.model.c @ x == model.c @ y
        sides = [
            ((m.row_lower <= matrix_of(m) @ p) & (matrix_of(m) @ p <= m.row_upper)).all()
            for m, p in ((view.model, x), (model, y))
        ]
        assert sides[0] == sides[1]
    assert view.model.col_names == tuple(f"x{j}" for j in view.columns)
    factor = view.model.row_factors
    np.testing.assert_array_equal(np.frexp(factor)[0], 0.5)
    plain = model_view(model, rng, scale=False).model
    assert sorted(plain.data) == sorted(matrix_of(model).data)


def test_models_with_other_parts_are_refused() -> None:
    model = replace(small_model(np.random.default_rng(0)), extras=Extras())
    with pytest.raises(ValueError, match="expected a linear one"):
        model_view(model, np.random.default_rng(0))


def test_symmetric_antennas_reflect_the_same() -> None:
    mask = random_mask(4)
    reference = MomentMethod(tables(), antenna(mask, [FEED])).input_impedance(9)
    seen = set()
    for symmetry in range(SYMMETRIES):
        view = antenna_view(mask, [FEED, (0, 0)], symmetry)
        assert view.metal[view.cells[0]] == mask[FEED]
        seen.add((view.metal.tobytes(), view.cells))
        method = MomentMethod(tables(), antenna(view.metal, view.cells[:1]))
        assert method.input_impedance(9) == pytest.approx(reference, rel=1e-9)
    assert len(seen) == SYMMETRIES
    with pytest.raises(ValueError, match="from 0 to 7, got 8"):
        antenna_view(mask, [FEED], 8)
    with pytest.raises(ValueError, match="cells: expected places on"):
        antenna_view(mask, [(99, 0)], 0)


def test_symmetries_of_a_board_that_is_not_square() -> None:
    metal = np.arange(6).reshape(2, 3) == 1
    assert antenna_view(metal, [(0, 1)], 4).metal.shape == (3, 2)
    for symmetry in range(SYMMETRIES):
        view = antenna_view(metal, [(0, 1)], symmetry)
        assert np.argwhere(view.metal).tolist() == [list(view.cells[0])]


def test_sets_of_tables_keep_their_tables() -> None:
    rng = np.random.default_rng(0)
    task = meta_like(9, rng)
    shuffled = shuffled_tables(task, rng)
    assert sorted(shuffled.numbers) == list(range(9))
    assert shuffled.numbers != tuple(range(9))
    part = table_subset(task, 0.4, rng)
    assert len(part.tables) == 4
    for view in (shuffled, part):
        for table, number in zip(view.tables, view.numbers, strict=True):
            assert table == task[number]
    assert len(table_subset(task, 0.01, rng).tables) == 1
    with pytest.raises(ValueError, match="share"):
        table_subset(task, 0.0, rng)


PROGRAM = """target triple = "x86_64-unknown-linux-gnu"
@seen = global [16 x i32] zeroinitializer
define i32 @mix(i32 %n, i32 %k) {
entry:
  %acc = alloca i32
  store i32 %k, ptr %acc
  br label %head
head:
  %i = phi i32 [ 0, %entry ], [ %next, %latch ]
  %more = icmp ult i32 %i, %n
  br i1 %more, label %body, label %done
body:
  %old = load i32, ptr %acc
  %odd = and i32 %old, 1
  %is = icmp eq i32 %odd, 0
  br i1 %is, label %even, label %other
even:
  %half = lshr i32 %old, 1
  br label %latch
other:
  %three = mul i32 %old, 3
  %one = add i32 %three, %i
  br label %latch
latch:
  %new = phi i32 [ %half, %even ], [ %one, %other ]
  store i32 %new, ptr %acc
  %slot = and i32 %i, 15
  %at = getelementptr [16 x i32], ptr @seen, i32 0, i32 %slot
  store i32 %new, ptr %at
  %next = add i32 %i, 1
  br label %head
done:
  %last = load i32, ptr %acc
  %first = load i32, ptr @seen
  %sum = add i32 %last, %first
  ret i32 %sum
}
"""


def mixed(n: int, k: int) -> int:
    """The program in Python."""
    seen = 0
    for i in range(n):
        k = k >> 1 if k % 2 == 0 else (3 * k + i) % 2**32
        seen = k if i % 16 == 0 else seen
    return (k + seen) % 2**32


@pytest.fixture
def programs(tmp_path: Path) -> LlvmPrograms:
    """Programs over the module as bitcode, which is what views are made of."""
    text, module = tmp_path / "a.ll", tmp_path / "a.bc"
    text.write_text(PROGRAM)
    installed = find_llvm()
    opt = [str(installed.tool("opt")), "-passes=verify", str(text), "-o", str(module)]
    subprocess.run(opt, check=True, timeout=60)
    return LlvmPrograms(installed=installed, target=Target(pic=True), module=module)


def test_a_program_behaves_the_same_after_random_passes(
    programs: LlvmPrograms, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    texts = set()
    for number in range(4):
        view, unit = tmp_path / f"{number}.bc", tmp_path / f"{number}.o"
        texts.add(program_view(programs, programs.module, view, rng))
        programs.emit_object(view, unit)
        shared = tmp_path / f"{number}.so"
        link = [sys.executable, "-m", "ziglang", "ld.lld", "-shared", str(unit)]
        subprocess.run([*link, "-o", str(shared)], check=True, timeout=60)
        function = ctypes.CDLL(str(shared)).mix
        function.restype = ctypes.c_uint32
        for n, k in ((17, 27), (40, 7)):
            # The array outlives a call, and both runs write its first place.
            assert function(n, k) == mixed(n, k), texts
    assert len(texts) == 4


def test_every_pass_of_a_view_exists(programs: LlvmPrograms, tmp_path: Path) -> None:
    pipeline = f"function({','.join(PASSES)})"
    programs.opt(pipeline, programs.module, tmp_path / "b.bc")
    drawn = {random_pipeline(np.random.default_rng(seed)) for seed in range(20)}
    assert len(drawn) > 15
