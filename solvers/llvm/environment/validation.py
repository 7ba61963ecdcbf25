"""Validation of a state by replay: replay, reward and behaviour, each reported on its own."""

from __future__ import annotations

import csv
import io
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm.engine import Engine
from solvers.llvm.environment.actions import NOTHING
from solvers.llvm.environment.benchmarks import Benchmark
from solvers.llvm.environment.observations import text_size
from solvers.llvm.environment.rewards import reward_space
from solvers.llvm.environment.spaces import PassSpace
from solvers.llvm.environment.states import EngineSettings
from solvers.llvm.types import Measured, Outcome, Recipe, Sizes, Target

FIELDS = ("benchmark", "reward_space", "reward", "walltime_s", "commandline")


@dataclass(frozen=True, kw_only=True)
class EnvState:
    """State with its claimed reward. `to_csv` and `from_csv` serve lists of results."""

    benchmark: str  # URI
    commandline: str
    reward_space: str
    reward: float  # of the episode
    walltime_s: float

    def to_csv(self) -> str:
        """Return one line, in the order of FIELDS."""
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(
            [getattr(self, name) for name in FIELDS]
        )
        return out.getvalue()

    @classmethod
    def from_csv(cls, line: str) -> EnvState:
        """Read a line of `to_csv`. Raises ValueError for other fields or malformed numbers."""
        rows = list(csv.reader([line]))
        if len(rows) != 1 or len(rows[0]) != len(FIELDS):
            raise ValueError(
                f"state: expected a line with {', '.join(FIELDS)}, got {line[:100]!r}"
            )
        benchmark, space, reward, walltime, commandline = rows[0]
        return cls(
            benchmark=benchmark,
            reward_space=space,
            reward=float(reward),
            walltime_s=float(walltime),
            commandline=commandline,
        )


@dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """Results of the checks of a state.

    A check that did not run is neither validated nor failed.
    """

    state: EnvState
    walltime_s: float
    actions_replay_failed: bool = False
    reward_validated: bool = False
    reward_validation_failed: bool = False
    benchmark_semantics_validated: bool = False
    benchmark_semantics_validation_failed: bool = False
    errors: tuple[str, ...] = ()

    def okay(self) -> bool:
        """Return whether no check failed.

        `benchmark_semantics_validated` tells whether the program ran.
        """
        return not (
            self.actions_replay_failed
            or self.reward_validation_failed
            or self.benchmark_semantics_validation_failed
        )


def validate(
    state: EnvState,
    benchmark: Benchmark,
    passes: PassSpace,
    settings: EngineSettings,
) -> ValidationResult:
    """Replay a state in a new engine and compare its reward.

    With `benchmark.runs`, also compare the behaviour of the unoptimised and the optimised program.
    """
    began = time.monotonic()

    def result(*errors: str, **flags: bool) -> ValidationResult:
        return ValidationResult(
            state=state, walltime_s=time.monotonic() - began, errors=errors, **flags
        )

    try:
        pipeline = passes.to_string(passes.from_string(state.commandline))
    except ValueError as error:
        return result(str(error), actions_replay_failed=True)
    space = reward_space(state.reward_space)
    levels = [space.baseline] if space.baseline in ("O3", "Oz") else []
    with Engine(
        benchmark.module, target=settings.target, limits=settings.limits
    ) as engine:
        texts = [NOTHING, pipeline, *(engine.default_pipeline(level) for level in levels)]
        measured = engine.measure([Recipe(pipeline=text) for text in texts])
        for text, one in zip(texts, measured, strict=True):
            if one.outcome is not Outcome.OK:
                return result(
                    f"pipeline {text!r}: {one.outcome.value}. {one.detail}",
                    actions_replay_failed=text == pipeline,
                )
        before, after = (_size(one, space.size) for one in measured[:2])
        size_of = {f"{space.size}O0": before}
        size_of |= {
            f"{space.size}{level}": _size(measured[2 + i], space.size)
            for i, level in enumerate(levels)
        }
        reward = (before - after) / space.scale(size_of.__getitem__)
        flags = {"reward_validated": True}
        errors = []
        if abs(reward - state.reward) > 1e-6 * max(1.0, abs(reward)):
            flags = {"reward_validated": False, "reward_validation_failed": True}
            errors.append(
                f"reward: expected {reward:.6f} by replay, got {state.reward:.6f}"
            )
        if benchmark.runs:
            objects = [
                engine.build(Recipe(pipeline=text)).object for text in (NOTHING, pipeline)
            ]
            differs = differences(
                objects[0], objects[1], benchmark, target=settings.target
            )
            flags["benchmark_semantics_validated"] = not differs
            flags["benchmark_semantics_validation_failed"] = bool(differs)
            errors += differs
    return result(*errors, **flags)


def differences(
    reference: bytes,
    candidate: bytes,
    benchmark: Benchmark,
    *,
    target: Target,
    timeout_s: float = 20.0,
) -> list[str]:
    """Link both objects, run both programs on every case, and describe each difference."""
    from solvers.llvm import execute  # needed only for a benchmark with runs

    messages = []
    with tempfile.TemporaryDirectory(prefix="trimtab-validate-") as name:
        programs = []
        for which, code in (("reference", reference), ("candidate", candidate)):
            folder = Path(name) / which
            folder.mkdir()
            programs.append(
                execute.link_program(
                    [code], workdir=folder, target=target, flags=benchmark.link_flags
                )
            )
        for number, case in enumerate(benchmark.runs):
            ran = []
            for program in programs:
                folder = program.parent / f"run-{number}"
                folder.mkdir(exist_ok=True)
                ran.append(
                    execute.run_program(
                        program,
                        case,
                        timeout_s=timeout_s,
                        memory_bytes=2**30,
                        workdir=folder,
                    )
                )
            difference = execute.compare(*ran)
            if difference is not None:
                messages.append(f"run {number}: {difference}")
    return messages


def _size(measured: Measured, name: str) -> int:
    sizes = measured.sizes or Sizes(ir_instructions=0)
    return sizes.ir_instructions if name == "IrInstructionCount" else text_size(sizes)
