"""Pipelines that LLVM must not parse."""

from __future__ import annotations

import pytest

from solvers.llvm.pipeline_text import unfit


@pytest.mark.parametrize(
    "pipeline",
    [
        "default<Oz>",
        "function<eager-inv>(sroa<modify-cfg>,simplifycfg<bonus-inst-threshold=2;no-keep-loops>)",
        "cgscc(devirt<4>(inline))",
        "loop-vectorize,print<func-properties>",
    ],
)
def test_pipelines_of_llvm_are_accepted(pipeline: str) -> None:
    assert unfit(pipeline) is None


@pytest.mark.parametrize(
    ("pipeline", "problem"),
    [
        ("sample-profile<file=/etc/passwd>", "'/' at character 20"),
        ("function(view-cfg)", "'view-cfg'"),
        ("dot-callgraph", "'dot-callgraph'"),
        ("a,\0b", "'\\x00'"),
        ("a" * (2**20 + 1), "at most 1,048,576 characters"),
    ],
)
def test_dangerous_pipelines_are_refused(pipeline: str, problem: str) -> None:
    assert problem in str(unfit(pipeline))
