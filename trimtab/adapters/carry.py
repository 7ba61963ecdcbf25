"""Write a model object as a file, with the map back to its variables and its warm start."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.adapters import mps
from trimtab.adapters.draft import Draft
from trimtab.adapters.names import file_names
from trimtab.adapters.start import write_start
from trimtab.solution import Place, Variables

Adapter = Callable[[Any], tuple[Draft, Callable[[Any], Place | None]]]
"""Reads an object into a draft; also returns a function from the user's variables to columns."""


@dataclass(frozen=True, kw_only=True)
class Carried:
    """Files written for one model object."""

    model: Path
    start: Path | None
    """Warm start, in the names of the file."""
    variables: Variables


# (prefix of the module, name of the class, adapter)
_ADAPTERS: tuple[tuple[str, str, str], ...] = (
    ("highspy", "Highs", "trimtab.adapters.highs:read"),
    ("highspy", "_Highs", "trimtab.adapters.highs:read"),
    ("pyscipopt", "Model", "trimtab.adapters.scip:read"),
    (
        "ortools.linear_solver.pywraplp",
        "Solver",
        "trimtab.adapters.mp_model:read_pywraplp",
    ),
    (
        "ortools.linear_solver.python.model_builder",
        "Model",
        "trimtab.adapters.mp_model:read_builder",
    ),
    ("ortools.linear_solver", "MPModelProto", "trimtab.adapters.mp_model:read_proto"),
    ("ortools.math_opt", "Model", "trimtab.adapters.math_opt:read"),
    ("ortools.math_opt", "ModelProto", "trimtab.adapters.math_opt:read_proto"),
    ("ortools.sat", "CpModel", "trimtab.adapters.cp_sat:read"),
    ("ortools.sat", "CpModelProto", "trimtab.adapters.cp_sat:read_proto"),
)


def carry(
    model: Any, folder: Path, *, file: Path | None = None, warm_start: Any = None
) -> Carried:
    """Write a model object and its warm start as files. Raises TypeError or NotCarriedOver.

    Args:
        model: The object.
        folder: Folder of the files.
        file: The model's file, when it is not to be in `folder`.
        warm_start: Replaces the object's own: a mapping from the user's variables or their names
            to numbers, or an object with `variable_values` (MathOpt's SolutionHint).
    """
    draft, locate = _adapter(model)(model)
    path = file or folder / "model.mps"
    columns = file_names((column.name for column in draft.columns), letter="v")
    rows = file_names((row.name for row in draft.rows), letter="c")
    mps.write(draft, path, columns=columns, rows=rows)
    variables = Variables(
        source=draft.source,
        names=tuple(column.name for column in draft.columns[: draft.own_columns]),
        file_names=tuple(columns[: draft.own_columns]),
        locate=locate,
    )
    values: Mapping[int, float] = draft.start
    if warm_start is not None:
        values = variables.by_place(getattr(warm_start, "variable_values", warm_start))
    pairs = ((columns[place], value) for place, value in values.items())
    start = write_start(folder / "start.sol", pairs)
    return Carried(model=path, start=start, variables=variables)


def _adapter(model: Any) -> Adapter:
    for base in type(model).__mro__:
        for module, name, where in _ADAPTERS:
            if base.__name__ == name and _package_of(base).startswith(module):
                location, _, function = where.partition(":")
                adapter: Adapter = getattr(importlib.import_module(location), function)
                return adapter
    raise TypeError(
        "model: expected a highspy.Highs, a pyscipopt.Model, or an OR-Tools pywraplp Solver, "
        "ModelBuilder, MathOpt Model, CpModel or one of their protos, got "
        f"{type(model).__module__}.{type(model).__name__}; "
        "write an .mps or .lp and use IlpSpec.from_file"
    )


def _package_of(kind: type) -> str:
    descriptor = getattr(kind, "DESCRIPTOR", None)
    if descriptor is not None:  # a protobuf message: `ortools/math_opt/model.proto`
        return str(descriptor.file.name).removesuffix(".proto").replace("/", ".")
    return kind.__module__
