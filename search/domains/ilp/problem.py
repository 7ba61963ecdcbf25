"""The problem as the search sees it, and the original file as the check sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search import native
from search.domains.ilp.verify import ExactReading
from search.types import InvalidInput
from solvers.types import MilpModel
from trimtab.specs.ilp import IlpSpec

READ_LIMIT_S = 60.0  # HiGHS reads a million nonzeros in 1 s, and hangs on some damaged files
_ARRAYS = ("c", "col_lower", "col_upper", "integrality", "indptr", "indices", "data", "row_lower", "row_upper")


@dataclass(frozen=True, kw_only=True, eq=False)
class IlpProblem:
    """A read model beside the file it came from."""

    spec: IlpSpec
    model: MilpModel
    file: Path  # the original; the verifier reads nothing else
    file_format: str  # "mps" or "lp"
    workdir: Path
    exact: ExactReading  # the verifier's own reading of `file`


def parse(spec: IlpSpec, inputs: Mapping[str, Path], workdir: Path) -> IlpProblem:
    """Read the model in a forked process: hostile files crash native parsers. Raises InvalidInput or NativeCrash."""
    if spec.model_text is not None:
        file, name = workdir / "model.txt", "model_text"
        file.write_text(spec.model_text)
    else:
        file = inputs["model"]
        name = (spec.model.name if spec.model else "") or file.name
    arrays = workdir / "model.npz"

    def read() -> native.Message:
        from solvers.read import format_of, read_model

        file_format = spec.format if spec.format != "auto" else format_of(file, name=name)
        return _save(read_model(file, format=file_format, name=name), arrays) | {"format": file_format}

    try:
        told = native.call("reading the model", read, timeout_s=READ_LIMIT_S)
    except native.NativeError as error:
        if error.kind in ("ModelError", "InvalidInput"):
            raise InvalidInput(error.message) from error
        if error.kind == "MemoryError":
            raise MemoryError(error.message) from error
        raise
    except native.NativeTimeout as error:
        raise InvalidInput(f"the model could not be read within {READ_LIMIT_S:g} s; send a smaller file") from error
    model = _load(arrays, told)
    arrays.unlink()
    if model.has_unsupported:
        parts = ", ".join(model.has_unsupported)
        raise InvalidInput(
            f"the model has {parts}, which this kind does not take; wanted a linear objective and linear rows over continuous "
            "and integer variables"
        )
    file_format = str(told["format"])
    return IlpProblem(
        spec=spec,
        model=model,
        file=file,
        file_format=file_format,
        workdir=workdir,
        exact=ExactReading(file, file_format, model),
    )


def _save(model: MilpModel, path: Path) -> native.Message:
    np.savez(path, **{name: getattr(model, name) for name in _ARRAYS})
    names = path.with_suffix(".json")
    names.write_text(json.dumps([model.col_names, model.row_names]))
    return {
        "offset": model.offset,
        "maximize": model.maximize,
        "name": model.name,
        "has_unsupported": list(model.has_unsupported),
    }


def _load(path: Path, told: native.Message) -> MilpModel:
    with np.load(path, allow_pickle=False) as arrays:
        kept = {name: arrays[name] for name in _ARRAYS}
    names_file = path.with_suffix(".json")
    col_names, row_names = json.loads(names_file.read_text())
    names_file.unlink()
    return MilpModel(
        **kept,
        offset=float(told["offset"]),
        maximize=bool(told["maximize"]),
        name=str(told["name"]),
        has_unsupported=tuple(told["has_unsupported"]),
        col_names=tuple(col_names) if col_names is not None else None,
        row_names=tuple(row_names) if row_names is not None else None,
    )
