"""Parse phase: read the model in a forked process, while the check process reads the file too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from search import isolation
from search.domains.ilp import model_file
from search.domains.ilp.problem import IlpProblem
from search.domains.ilp.verify.checker import Checker
from search.types import InvalidInput
from solvers import read
from solvers.errors import ModelError
from solvers.solution_file import read_solution
from solvers.table import make_solver
from solvers.types import FEASIBILITY_TOLERANCE, Floats, MilpModel
from trimtab.specs.ilp import Engine, IlpSpec

# Larger files are compared by the check process, beside the search.
_COMPARED_AT_ONCE_BYTES = 64 << 10
# HiGHS reads a million nonzeros in 1 s, and hangs on some damaged files.
READ_LIMIT_S = 60.0
_ENGINE_BEYOND_LINEAR = Engine.SCIP

FileFormat = Literal["mps", "lp"]


def parse(spec: IlpSpec, inputs: Mapping[str, Path], workdir: Path) -> IlpProblem:
    """Read the model and the warm start, and choose the engine.

    Raises InvalidInput or NativeCrash.
    """
    if spec.model_text is not None:
        file, name = workdir / "model.txt", "model_text"
        file.write_text(spec.model_text)
    else:
        file = inputs["model"]
        name = (spec.model.name if spec.model else "") or file.name
    began = time.monotonic()
    file_format = _format(spec, file, name)
    tolerance = spec.feasibility_tolerance or FEASIBILITY_TOLERANCE
    checker = Checker(
        file, file_format=file_format, name=name, workdir=workdir, tolerance=tolerance
    )
    checker.start()
    try:
        model, notes = _read(file, file_format, name, workdir, checker)
        model = replace(model, feasibility_tolerance=tolerance)
        problem = IlpProblem(
            spec=spec,
            model=model,
            workdir=workdir,
            checker=checker,
            warm_start=_warm_start(spec, inputs, model),
            notes=notes,
            began=began,
        )
        return _with_fitting_engine(problem)
    except BaseException:
        checker.close()
        raise


def _format(spec: IlpSpec, file: Path, name: str) -> FileFormat:
    if spec.format != "auto":
        return spec.format
    try:
        return read.format_of(file, name=name)
    except ModelError as error:
        raise InvalidInput(str(error)) from error


def _read(
    file: Path, file_format: FileFormat, name: str, workdir: Path, checker: Checker
) -> tuple[MilpModel, tuple[str, ...]]:
    """Read the model, and let the check process compare its own reading."""
    saved = workdir / "model.npz"
    model, rest = read_isolated(file, file_format, name, saved)
    checker.compare(model, saved, rest)
    return model, tuple(str(note) for note in rest["notes"])


def read_isolated(
    file: Path, file_format: read.Format, name: str, saved: Path
) -> tuple[MilpModel, isolation.Message]:
    """Read in a forked process, because hostile files crash native parsers.

    saved: file that the process leaves the arrays in. Returns the model and what the arrays lack.
    Raises InvalidInput or NativeCrash.
    """

    def read_and_save(with_highs: bool) -> isolation.Message:
        limits = read.ReadLimits(compared_bytes=_COMPARED_AT_ONCE_BYTES)
        reading = read.read_with_notes(
            file, format=file_format, name=name, limits=limits, with_highs=with_highs
        )
        rest = model_file.save(reading.model, saved)
        return rest | {"notes": list(reading.notes)}

    try:
        try:
            rest = isolation.call(
                "reading the model", lambda: read_and_save(True), timeout_s=READ_LIMIT_S
            )
        except (isolation.NativeCrash, isolation.NativeTimeout):
            # The exact reader is plain Python. If it succeeds, the fault is in HiGHS' reader.
            rest = isolation.call(
                "reading the model exactly",
                lambda: read_and_save(False),
                timeout_s=READ_LIMIT_S,
            )
    except isolation.NativeError as error:
        if error.kind in ("ModelError", "InvalidInput"):
            raise InvalidInput(error.message) from error
        if error.kind == "MemoryError":
            raise MemoryError(error.message) from error
        raise
    except isolation.NativeTimeout as error:
        raise InvalidInput(
            f"the model could not be read within {READ_LIMIT_S:g} s; send a smaller file"
        ) from error
    return model_file.load(saved, rest), rest


def _warm_start(
    spec: IlpSpec, inputs: Mapping[str, Path], model: MilpModel
) -> Floats | None:
    if spec.warm_start is None:
        return None
    try:
        return read_solution(
            inputs["warm_start"], model, name=spec.warm_start.name or "the warm start"
        )
    except ModelError as error:
        raise InvalidInput(str(error)) from error


def _with_fitting_engine(problem: IlpProblem) -> IlpProblem:
    """Choose another engine for a model beyond linear rows. Raises InvalidInput if none fits."""
    spec, model = problem.spec, problem.model
    notes: list[str] = []
    if model.extras is not None:
        # Neighbourhoods are cut out of linear rows: the engine searches alone.
        notes.append(
            f"the model has {', '.join(model.beyond_linear)}: the complete solver runs without "
            "the neighbourhood search, and the exact check covers the whole model"
        )
        if make_solver(spec.engine.value).why_not(model) is not None:
            other = _ENGINE_BEYOND_LINEAR
            notes.append(
                f"engine {spec.engine.value} does not take {', '.join(model.beyond_linear)}; "
                f"{other.value} was taken instead"
            )
            spec = spec.model_copy(update={"engine": other})
    why_not = make_solver(spec.engine.value).why_not(model)
    if why_not is not None:
        raise InvalidInput(
            f"engine {spec.engine.value} cannot take this model: {why_not}; choose another engine"
        )
    return replace(problem, spec=spec, notes=(*problem.notes, *notes))
