"""Which list of pipelines a program gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.domains.compile.search.coreset import LISTS, list_for, load_coreset
from solvers.llvm.engine import Engine
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Metric, Recipe, Target


@pytest.mark.parametrize(
    ("flags", "listed"),
    [
        ((), Metric.LOADABLE_BYTES),
        (("-fno-asynchronous-unwind-tables",), Metric.CODE_BYTES),
    ],
)
def test_without_unwinding_the_list_goes_by_code(
    flags: tuple[str, ...], listed: Metric, tmp_path: Path
) -> None:
    source = tmp_path / "a.c"
    source.write_text(
        "int f(int *p, int n) { int s = 0; while (n--) s += p[n]; return s; }\n"
    )
    (module,) = compile_to_bitcode(
        [source], workdir=tmp_path / "work", target=Target(), flags=flags
    )
    with Engine(module) as engine:
        (oz,) = engine.measure([Recipe(pipeline=engine.default_pipelines()["Oz"])])
    assert oz.sizes is not None
    assert list_for(Metric.LOADABLE_BYTES, oz.sizes) is listed
    assert list_for(Metric.IR_INSTRUCTIONS, oz.sizes) is Metric.IR_INSTRUCTIONS


def test_every_metric_has_a_list_of_its_own() -> None:
    lists = [load_coreset(metric) for metric in LISTS]
    assert set(LISTS) == set(Metric)
    assert all(len(listed) == 24 for listed in lists)
    assert len({listed[0].digest for listed in lists}) == len(LISTS), (
        "each begins with a pipeline of its own"
    )
