from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from solvers.llvm.engine import Engine
from solvers.llvm.environment import make
from solvers.llvm.environment.actions import (
    COMPOSITE,
    FLAT,
    Action,
    Level,
    in_default_pipelines,
    known_to,
)
from solvers.llvm.environment.env import CompilerEnv
from solvers.llvm.environment.observations import as_networkx
from solvers.llvm.environment.validation import EnvState
from solvers.llvm.install import find_llvm
from tests.solvers.llvm.environment.contract import PassEnvironmentContract
from tests.solvers.llvm.environment.texts import LOOP

SCALARS = ("IrInstructionCount", "ObjectTextSizeBytes")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "loop.ll"
    path.write_bytes(LOOP)
    return path


@pytest.fixture
def env(file: Path) -> Iterator[CompilerEnv]:
    with make(benchmark=file, reward_space="IrInstructionCount") as made:
        yield made


class TestContract(PassEnvironmentContract):
    """Ours keeps the contract."""


def test_gymnasium_accepts_it(file: Path) -> None:
    with make("llvm-autophase-ic-v0", benchmark=file.as_uri()) as env:
        check_env(env, skip_render_check=True)


def test_oz_reward_adds_up_to_one_at_oz(file: Path) -> None:
    oz = Action(name="default<Oz>", level=Level.MODULE)
    with make("llvm-ic-v0", benchmark=file, actions=(oz,)) as env:
        env.reset()
        _, reward, *_ = env.step(0)
        assert reward == pytest.approx(1.0)
        assert env.reward["IrInstructionCountNorm"] < 1.0
        assert (
            env.observation["IrInstructionCount"] == env.observation["IrInstructionCountOz"]
        )


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


def test_text_size_is_what_llvm_size_says(env: CompilerEnv, tmp_path: Path) -> None:
    env.reset()
    env.step(env.action_space["mem2reg"])
    (tmp_path / "x.o").write_bytes(env.states.built(env.pipeline).object)
    said = subprocess.run(
        [find_llvm().tool("llvm-size"), tmp_path / "x.o"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert env.observation["ObjectTextSizeBytes"] == int(said.splitlines()[1].split()[0])


def test_opt_repeats_the_state(env: CompilerEnv, file: Path, tmp_path: Path) -> None:
    env.reset()
    env.multistep(
        [env.action_space[name] for name in ("mem2reg", "simplifycfg", "licm", "inline")]
    )
    opt = find_llvm().opt
    assert opt is not None
    line = env.commandline().replace("input.bc -o output.bc", "").split()
    command = [
        str(opt),
        *(word.replace("'", "") for word in line[1:]),
        "-S",
        str(file),
        "-o",
        str(tmp_path / "out.ll"),
    ]
    subprocess.run(command, check=True)
    with Engine((tmp_path / "out.ll").read_bytes()) as engine:
        assert engine.info.ir_instructions == env.observation["IrInstructionCount"]
    assert env.action_space.from_string(env.commandline()) == env.actions


def test_a_crash_ends_the_episode_and_takes_the_reward_back(env: CompilerEnv) -> None:
    bad = Action(name="no-such-pass", level=Level.MODULE)
    env.reset()
    env.step(env.action_space["mem2reg"])
    earned = env.episode_reward
    env.action_space.actions = (*env.action_space.actions[:-1], bad)
    _, reward, terminated, _, info = env.step(len(env.action_space.names) - 1)
    assert earned > 0
    assert reward == -earned
    assert terminated
    assert "no-such-pass" in info["error_details"]
    assert env.episode_reward == 0
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(0)


def test_what_lies_about_its_reward_is_found(env: CompilerEnv) -> None:
    env.reset()
    env.step(env.action_space["mem2reg"])
    good = env.validate()
    assert good.okay()
    assert good.reward_validated
    assert not good.benchmark_semantics_validated
    state = EnvState.from_csv(env.state.to_csv())
    lied = env.validate(replace(state, reward=state.reward + 1))
    assert lied.reward_validation_failed
    assert not lied.okay()
    assert env.validate(
        replace(state, commandline="opt -passes='made-up'")
    ).actions_replay_failed


def test_unknown_names_say_what_there_is(env: CompilerEnv, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Autophase"):
        env.observation["Autofase"]
    with pytest.raises(ValueError, match="IrInstructionCountOz"):
        env.reward_space = "Speed"
    with pytest.raises(KeyError, match="simplifycfg"):
        env.action_space["simplifycfg<x>"]
    with pytest.raises(ValueError, match="scheme"):
        env.reset(benchmark="benchmark://cbench-v1/qsort")
    with pytest.raises(FileNotFoundError):
        env.reset(benchmark=tmp_path / "none.bc")
    with pytest.raises(ValueError, match="generators"):
        env.reset(benchmark="generator://own-v0/1")


def test_an_episode_ends_at_max_steps_and_after_close(file: Path) -> None:
    env = make(benchmark=file, max_steps=2)
    env.reset()
    assert [env.step(env.action_space["mem2reg"])[3] for _ in range(2)] == [False, True]
    assert env.step(0)[4]["action_had_no_effect"] in (True, False)
    env.close()
    env.close()
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
        env.reset()


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
