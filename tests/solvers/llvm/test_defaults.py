"""Pipelines as text: what is dropped, what is kept."""

import pytest

from solvers.llvm.defaults import parsable, printed_pipeline, with_safe_instcombine, without
from solvers.llvm.install import find_llvm
from solvers.llvm.types import Target


@pytest.mark.parametrize(
    ("text", "name", "wanted"),
    [
        ("a,b,c", "b", "a,c"),
        ("a,b<x;y=1>,c", "b", "a,c"),
        ("b,a", "b", "a"),
        ("a,function(b)", "b", "a"),
        ("a,function<eager-inv>(loop(b),c)", "b", "a,function<eager-inv>(c)"),
        ("a,function<eager-inv>(loop(b)),c", "b", "a,c"),
        ("ab,b-c,x<b>", "b", "ab,b-c,x<b>"),
        ("b", "b", ""),
    ],
)
def test_without(text: str, name: str, wanted: str) -> None:
    assert without(text, name) == wanted


def test_instcombine_never_looks_for_its_fix_point() -> None:
    text = "instcombine,instcombine<max-iterations=1;verify-fixpoint>,aggressive-instcombine,instcombine<no-verify-fixpoint>"
    wanted = (
        "instcombine<no-verify-fixpoint>,instcombine<max-iterations=1;no-verify-fixpoint>,aggressive-instcombine,"
        "instcombine<no-verify-fixpoint>"
    )
    assert with_safe_instcombine(text) == wanted
    assert with_safe_instcombine(wanted) == wanted


def test_what_llvm_does_not_read_is_dropped() -> None:
    known = {"a", "b", "c"}

    def check(text: str) -> str | None:
        odd = [
            word
            for word in text.replace("function(", "").replace(")", "").split(",")
            if word not in known
        ]
        return f"unknown function pass '{odd[0]}' in pipeline '{text}'" if odd else None

    assert parsable("a,function(x,b),y,c", check) == "a,function(b),c"
    with pytest.raises(ValueError, match="cannot parse"):
        parsable("a", lambda text: "no reason")


def test_printing_knows_its_levels() -> None:
    with pytest.raises(ValueError, match="got 'O9'"):
        printed_pipeline(find_llvm(), Target(), "O9")
    assert "cgscc(" in printed_pipeline(find_llvm(), Target(), "Oz")
