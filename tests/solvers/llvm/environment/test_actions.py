"""Passes as actions: nesting, parsing, and the installed LLVM."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.llvm.engine import Engine
from solvers.llvm.environment import make
from solvers.llvm.environment.actions import (
    COMPOSITE,
    FLAT,
    NOTHING,
    Action,
    Level,
    in_default_pipelines,
    known_to,
    parse_commandline,
    pipeline_of,
)
from tests.solvers.llvm.environment.modules import LOOP

ACTIONS = (
    Action(name="globaldce", level=Level.MODULE),
    Action(name="inline", level=Level.CGSCC),
    Action(name="sroa<modify-cfg>", level=Level.FUNCTION),
    Action(name="indvars", level=Level.LOOP),
    Action(name="licm", level=Level.LOOP_MSSA),
    Action(name="devirt<4>(inline,function(gvn,dce))", level=Level.CGSCC),
)


def test_each_level_is_nested_for_a_module() -> None:
    assert [action.pipeline for action in ACTIONS[:5]] == [
        "globaldce",
        "cgscc(inline)",
        "function(sroa<modify-cfg>)",
        "function(loop(indvars))",
        "function(loop-mssa(licm))",
    ]
    assert pipeline_of(()) == NOTHING


@pytest.mark.parametrize(
    "line", ["{}", "opt -passes='{}' in.bc", 'opt -passes="{}" in.bc']
)
def test_a_command_line_parses_to_its_actions(line: str) -> None:
    indices = [5, 2, 0, 4, 5]
    pipeline = pipeline_of(ACTIONS[i] for i in indices)
    assert parse_commandline(line.format(pipeline), ACTIONS) == indices
    assert parse_commandline(line.format(NOTHING), ACTIONS) == []


def test_an_unknown_pass_of_a_command_line_is_named() -> None:
    with pytest.raises(ValueError, match=r"got 'function\(gvn\)'"):
        parse_commandline("globaldce,function(gvn)", ACTIONS)


def test_the_installed_llvm_knows_every_flat_pass() -> None:
    with Engine(LOOP) as engine:
        invented = Action(name="invented", level=Level.FUNCTION)
        assert known_to(engine, (*FLAT, invented)) == FLAT
        names = {
            action.name
            for action in in_default_pipelines(FLAT, [engine.default_pipeline("Oz")])
        }
    assert {"gvn", "licm", "inline"} <= names
    assert not {"newgvn", "gvn-hoist", "loop-fusion", "irce"} & names


def test_composite_actions_are_whole_pipelines(file: Path) -> None:
    with make(benchmark=file, actions=(*FLAT, *COMPOSITE)) as made:
        made.reset()
        assert {action.name for action in COMPOSITE} <= set(made.action_space.names), (
            "the installed LLVM knows them all"
        )
        made.step(made.action_space["default<Oz>"])
        assert (
            made.observation["IrInstructionCount"]
            == made.observation["IrInstructionCountOz"]
        )
