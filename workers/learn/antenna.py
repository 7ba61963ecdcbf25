"""Target `antenna`: the surrogate fitted to the user's board by the fast field solver.

The uploaded file is the board. Instances are families of designs drawn on it: a founder and
its mutations, which are never split. The metric is the mean error of |S11| in dB against the fast
solver, with the floor at −26 dB; the shipped surrogate is judged on the same board, whose modes it
begins with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.antenna.surrogate import Surrogate, SurrogateRefused
from search.domains.antenna.search.model import SURROGATE
from search.domains.learn.types import (
    FitRun,
    Fitted,
    Instance,
    NothingFitted,
    Point,
    Source,
)
from search.model_files import FittedModel, write_model
from search.types import InvalidInput
from trimtab.cards import Metric
from trimtab.specs.learn import MOST_FILES, AntennaLearnOptions
from workers.train.antenna.boards import TrainingBoard, read_board
from workers.train.antenna.designs import Sample
from workers.train.antenna.own import (
    draw_families,
    error_db,
    fit_own,
    label_families,
    on_board,
    solved_curves,
    start_for,
)
from workers.train.antenna.train import Plan
from workers.train.steps import StepError

TARGET = "antenna"
_DRAW_SEED = 0  # of the designs: equal boards have equal instances
_RATE = 1e-3


class AntennaLearner:
    """`Learner` of surrogates."""

    target = TARGET
    metric = Metric(name="error of |S11| against the fast solver", unit="dB")
    least_instances = 40
    most_sources = MOST_FILES
    judge_share = 0.25
    packages = ("numpy", "torch")
    labels_from = "designs are solved here"

    def __init__(self) -> None:
        self._board: TrainingBoard | None = None
        self._cache = Path()
        self._curves: dict[str, NDArray[np.complex64]] = {}

    @cached_property
    def _start(self) -> Surrogate | None:
        """Shipped surrogate of the form of a fit; None when none is shipped."""
        return start_for(Plan())

    def prepare(
        self,
        sources: Sequence[Source],
        options: AntennaLearnOptions,
        workdir: Path,
    ) -> list[Instance]:
        """Read the board and draw designs on it. Raises InvalidInput."""
        if len(sources) != 1:
            raise InvalidInput(
                f"instances: expected one file, the board as JSON, got {len(sources)}; fit one "
                "model for each board"
            )
        try:
            board = read_board(sources[0].path)
        except StepError as error:
            text = str(error).replace(str(sources[0].path), sources[0].name)
            raise InvalidInput(f"instances: {text}") from None
        if self._start is None:
            raise InvalidInput(
                "antenna: expected a shipped surrogate to begin with, got none"
            )
        self._board, self._cache = board, workdir / "tables"
        designs = draw_families(board, options.designs, _DRAW_SEED)
        return [
            Instance(key=_key(board, family), name=f"designs {number}", data=family)
            for number, family in enumerate(designs)
        ]

    def fit(
        self, instances: Sequence[Instance], run: FitRun, options: AntennaLearnOptions
    ) -> Fitted:
        """Solve the designs in parts, then train from the shipped weights. Resumes."""
        import torch

        torch.set_num_threads(1)
        board = self._board
        assert board is not None  # `prepare` ran before
        families = [instance.data for instance in instances]
        total_s = run.remaining_s()

        def on_part(done: int, total: int) -> None:
            run.report(Point(step=done, steps=total, loss=0.0, stage="solve"))
            run.save()

        # Half of the time at most goes into labels: without training they are worth nothing.
        solved = label_families(
            board,
            families,
            run.folder,
            seed=_DRAW_SEED,
            cache=self._cache,
            stopped=lambda: run.stop() or run.remaining_s() < total_s / 2,
            on_part=on_part,
        )
        if not solved:
            raise NothingFitted(
                "the run ended before the first designs were solved; give more time"
            )
        plan = _plan(options, seed=run.seed % 2**31)
        surrogate = fit_own(
            board,
            run.folder,
            plan,
            say=_Curve(run, plan.epochs),
            start=self._start,
            stopped=run.stop,
        )
        path = run.workdir / "fitted.safetensors"
        arrays = {SURROGATE: np.frombuffer(surrogate.to_bytes(), np.uint8)}
        write_model(path, arrays, target=TARGET, scope=_scope(board))
        notes = () if solved == sum(map(len, families)) else (_partly(solved, families),)
        return Fitted(
            path=path,
            notes=notes,
            pretrained=False,
            figures={"designs": solved, **surrogate.facts.errors},
        )

    def evaluate(
        self, instance: Instance, model: FittedModel | None, *, seed: int, limit_s: float
    ) -> float:
        """Return the mean error in dB over the designs of a family."""
        board = self._board
        assert board is not None
        if instance.key not in self._curves:
            tables = board.tables(fine=False, cache=self._cache)
            self._curves[instance.key] = solved_curves(board, instance.data, tables)
        if model is None:
            assert self._start is not None  # `prepare` looked
            surrogate = on_board(self._start, board)
        else:
            surrogate = surrogate_of(model.arrays)
        return error_db(surrogate, board, instance.data, self._curves[instance.key])


class _Curve:
    """Learning curve from the lines that a training run says."""

    def __init__(self, run: FitRun, epochs: int) -> None:
        self._run, self._epochs, self._epoch = run, epochs, 0

    def __call__(self, text: str) -> None:
        words = text.split()
        if words[:1] == ["epoch"] and "/" in words[1] and "loss" in words:
            self._epoch += 1
            loss = float(words[words.index("loss") + 1])
            self._run.report(Point(step=self._epoch, steps=self._epochs, loss=loss))
            self._run.save()


def _plan(options: AntennaLearnOptions, *, seed: int) -> Plan:
    """Plan of a fit in the form of the shipped surrogate."""
    return Plan(epochs=options.epochs, fine_epochs=0, rate=_RATE, seed=seed)


def _key(board: TrainingBoard, family: Sequence[Sample]) -> str:
    digest = hashlib.sha256(board.digest.encode())
    for sample in family:
        digest.update(np.packbits(sample.mask).tobytes())
        digest.update(repr(sample.feeds).encode())
    return digest.hexdigest()


def _partly(solved: int, families: Sequence[Sequence[Sample]]) -> str:
    return (
        f"{solved} of {sum(map(len, families))} designs to fit were solved in half of the time; "
        "give more seconds, or ask for fewer designs."
    )


def _scope(board: TrainingBoard) -> dict[str, Any]:
    facts = board.facts
    return {
        "eps_r": facts.eps_r,
        "height_m": facts.height_m,
        "tan_d": facts.tan_d,
        "cells": list(facts.cells),
        "cell_m": facts.cell_m,
        "f_min_hz": facts.f_min_hz,
        "f_max_hz": facts.f_max_hz,
    }


def surrogate_of(arrays: Any) -> Surrogate:
    """Return the surrogate of a model file's arrays. Raises SurrogateRefused."""
    if SURROGATE not in arrays:
        raise SurrogateRefused(f"{SURROGATE}: expected an array of bytes, got none")
    return Surrogate.from_bytes(arrays[SURROGATE].tobytes(), name="fitted model")
