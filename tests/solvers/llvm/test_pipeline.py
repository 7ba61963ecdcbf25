"""Conversion of pipelines between text and tree, compared with LLVM's own."""

from __future__ import annotations

import pytest

from solvers.llvm.engine import Engine
from solvers.llvm.pipeline import (
    BadPipeline,
    Pass,
    find,
    leaves,
    parse,
    splice,
    text_of,
    with_flags,
)

TEXT = (
    "globalopt,cgscc(devirt<4>(inline,function<eager-inv>"
    "(sroa<modify-cfg>,gvn<>,loop(indvars),gvn))),gvn"
)


@pytest.mark.parametrize("level", ["O0", "O1", "O2", "O3", "Os", "Oz"])
def test_llvms_own_pipelines_come_back_unchanged(level: str) -> None:
    with Engine(b"define void @f() {\n  ret void\n}\n") as engine:
        text = engine.default_pipeline(level)
        assert text_of(parse(text)) == text
        assert engine.check([text_of(parse(text))]) == [None]


def test_leaves_have_their_level() -> None:
    rows = [
        (leaf.name, leaf.occurrence, leaf.level)
        for leaf in leaves(parse(f"{TEXT},function(gvn)"))
    ]
    assert rows == [
        ("globalopt", 0, "module"),
        ("inline", 0, "cgscc"),
        ("sroa", 0, "function"),
        ("gvn", 0, "function"),
        ("indvars", 0, "loop"),
        ("gvn", 1, "function"),
        ("gvn", 2, "module"),
        ("gvn", 3, "function"),
    ]


def test_splice_takes_an_empty_adaptor_with_it() -> None:
    items = parse(TEXT)
    without = splice(items, find(items, "indvars", 0).path, lambda item: ())
    assert "loop" not in text_of(without)
    twice = splice(
        items, find(items, "gvn", 1).path, lambda item: (item, Pass(name="adce"))
    )
    assert text_of(twice) == TEXT.replace("gvn)))", "gvn,adce)))")


def test_flags_take_the_place_of_their_opposites() -> None:
    assert with_flags(
        "keep-loops;bonus-inst-threshold=1", ["no-keep-loops", "bonus-inst-threshold=4"]
    ) == ("no-keep-loops;bonus-inst-threshold=4")
    assert with_flags(None, ["memssa"]) == "memssa"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,",
        "a(b",
        "a)",
        "a<b",
        "(a)",
        "a,,b",
        " a",
        "function(" * 70 + "a" + ")" * 70,
        "x" * 1_000_001,
    ],
)
def test_malformed_pipelines_are_refused(text: str) -> None:
    with pytest.raises(BadPipeline):
        parse(text)


def test_an_absent_pass_is_named() -> None:
    with pytest.raises(BadPipeline, match="'gvn' number 7: this pipeline has 3"):
        find(parse(TEXT), "gvn", 7)
