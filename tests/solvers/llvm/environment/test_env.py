"""Episodes of `CompilerEnv`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from solvers.llvm.engine import Engine
from solvers.llvm.environment import make
from solvers.llvm.environment.actions import (
    Action,
    Level,
)
from solvers.llvm.environment.env import CompilerEnv
from solvers.llvm.install import find_llvm


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
            env.observation["IrInstructionCount"]
            == env.observation["IrInstructionCountOz"]
        )


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


def test_a_crash_ends_the_episode_and_cancels_its_reward(env: CompilerEnv) -> None:
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


def test_unknown_names_are_refused_with_the_valid_ones(
    env: CompilerEnv, tmp_path: Path
) -> None:
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
