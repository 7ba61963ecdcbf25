"""Observation spaces against LLVM's tools and against each other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from solvers.llvm.environment.env import CompilerEnv
from solvers.llvm.environment.observations import (
    as_networkx,
    find_space,
    observation_spaces,
    text_size,
)
from solvers.llvm.install import find_llvm
from solvers.llvm.types import Sizes


def test_every_observation_is_in_its_space(env: CompilerEnv) -> None:
    env.reset()
    env.step(env.action_space["mem2reg"])
    for name, space in env.observation.spaces.items():
        value = env.observation[name]
        assert space.space.contains(
            np.array(value, dtype=np.int64) if isinstance(value, int) else value
        ), name
    graph = env.observation["Programl"]
    assert as_networkx(graph).number_of_edges() == len(graph.edges)
    count = env.observation["IrInstructionCount"]
    assert (
        env.observation["AutophaseDict"]["TotalInsts"]
        == env.observation["InstCount"][0]
        == count
    )


def test_text_size_equals_llvm_size(env: CompilerEnv, tmp_path: Path) -> None:
    env.reset()
    env.step(env.action_space["mem2reg"])
    (tmp_path / "x.o").write_bytes(env.states.built(env.pipeline).object)
    table = subprocess.run(
        [find_llvm().tool("llvm-size"), tmp_path / "x.o"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert env.observation["ObjectTextSizeBytes"] == int(table.splitlines()[1].split()[0])


def test_writable_sections_are_not_text() -> None:
    sections = {".text": 10, ".rodata.str1.1": 4, ".data.rel.ro": 8, ".tdata": 2}
    assert text_size(Sizes(ir_instructions=1, sections=sections)) == 14


def test_unknown_spaces_are_refused_with_all_names() -> None:
    spaces = observation_spaces()
    assert find_space(spaces, "IrSha1").space.contains("0" * 40)
    with pytest.raises(
        ValueError, match=r"expected one of Autophase, .*, got 'Inst2vec'"
    ):
        find_space(spaces, "Inst2vec")
