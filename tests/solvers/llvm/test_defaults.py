"""Default pipelines as text: removal of passes, safe instcombine."""

import pytest

from solvers.llvm.defaults import (
    parsable,
    printed_pipeline,
    with_safe_instcombine,
    without,
)
from solvers.llvm.install import find_llvm
from solvers.llvm.types import Target


@pytest.mark.parametrize(
    ("text", "name", "expected"),
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
def test_a_pass_is_removed_with_its_empty_adaptors(
    text: str, name: str, expected: str
) -> None:
    assert without(text, name) == expected


def test_instcombine_never_verifies_its_fix_point() -> None:
    text = (
        "instcombine,instcombine<max-iterations=1;verify-fixpoint>,aggressive-instcombine,"
        "instcombine<no-verify-fixpoint>"
    )
    expected = (
        "instcombine<no-verify-fixpoint>,instcombine<max-iterations=1;no-verify-fixpoint>,"
        "aggressive-instcombine,instcombine<no-verify-fixpoint>"
    )
    assert with_safe_instcombine(text) == expected
    assert with_safe_instcombine(expected) == expected


def test_unknown_passes_are_removed() -> None:
    supported = {"a", "b", "c"}

    def check(text: str) -> str | None:
        odd = [
            word
            for word in text.replace("function(", "").replace(")", "").split(",")
            if word not in supported
        ]
        return f"unknown function pass '{odd[0]}' in pipeline '{text}'" if odd else None

    assert parsable("a,function(x,b),y,c", check) == "a,function(b),c"
    with pytest.raises(ValueError, match="cannot parse"):
        parsable("a", lambda text: "no reason")


def test_unknown_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="got 'O9'"):
        printed_pipeline(find_llvm(), Target(), "O9")
    assert "cgscc(" in printed_pipeline(find_llvm(), Target(), "Oz")
