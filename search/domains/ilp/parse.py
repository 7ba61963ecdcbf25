"""The problem as the search sees it, and the original file as the check sees it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from search import isolation
from search.domains.ilp import model_file
from search.domains.ilp.verify.checker import Checker
from search.types import InvalidInput
from solvers.errors import ModelError
from solvers.solution_file import read_solution
from solvers.types import Floats, MilpModel
from trimtab.specs.ilp import IlpSpec

_COMPARED_AT_ONCE_BYTES = 64 << 10
READ_LIMIT_S = (
    60.0  # HiGHS reads a million nonzeros in 1 s, and hangs on some damaged files
)


@dataclass(frozen=True, kw_only=True, eq=False)
class IlpProblem:
    """A read model beside the file it came from."""

    spec: IlpSpec
    model: MilpModel
    file: Path  # the original; the verifier reads nothing else
    file_format: str  # "mps" or "lp"
    workdir: Path
    checker: Checker  # the verifier's process, which reads `file` itself
    warm_start: Floats | None = None  # (n,) NaN where the owner's file says nothing
    notes: tuple[str, ...] = ()  # what the owner should know about how the model is treated
    began: float = field(default_factory=time.monotonic)


def parse(spec: IlpSpec, inputs: Mapping[str, Path], workdir: Path) -> IlpProblem:
    """Read the model in a forked process: hostile files crash native parsers. Raises InvalidInput or NativeCrash."""
    if spec.model_text is not None:
        file, name = workdir / "model.txt", "model_text"
        file.write_text(spec.model_text)
    else:
        file = inputs["model"]
        name = (spec.model.name if spec.model else "") or file.name
    began = time.monotonic()
    checker = Checker(file, file_format=spec.format, name=name, workdir=workdir)
    checker.start()
    try:
        model, file_format, notes = _read(spec, file, name, workdir, checker)
        warm_start = _warm_start(spec, inputs, model)
    except BaseException:
        checker.close()
        raise
    return IlpProblem(
        spec=spec,
        model=model,
        file=file,
        file_format=file_format,
        workdir=workdir,
        checker=checker,
        warm_start=warm_start,
        notes=notes,
        began=began,
    )


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


def _read(
    spec: IlpSpec, file: Path, name: str, workdir: Path, checker: Checker
) -> tuple[MilpModel, str, tuple[str, ...]]:
    saved = workdir / "model.npz"

    def read(with_highs: bool) -> isolation.Message:
        from solvers.read import ReadLimits, format_of, read_with_notes

        # The check's process reads exactly and compares beside the search; only tiny files are quicker compared at once.
        limits = ReadLimits(compared_bytes=_COMPARED_AT_ONCE_BYTES)
        file_format = spec.format if spec.format != "auto" else format_of(file, name=name)
        reading = read_with_notes(
            file, format=file_format, name=name, limits=limits, with_highs=with_highs
        )
        return model_file.save(reading.model, saved) | {
            "format": file_format,
            "notes": list(reading.notes),
        }

    try:
        try:
            told = isolation.call(
                "reading the model", lambda: read(True), timeout_s=READ_LIMIT_S
            )
        except (isolation.NativeCrash, isolation.NativeTimeout):
            # The exact reader is plain Python: where it manages, the file is sound and HiGHS' reader is not.
            told = isolation.call(
                "reading the model exactly", lambda: read(False), timeout_s=READ_LIMIT_S
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
    model = model_file.load(saved, told)
    checker.compare(model, saved, told)
    return model, str(told["format"]), tuple(str(note) for note in told["notes"])
