"""Model objects of the solvers people use, as files. Nothing is imported here: the object brings its own package.

| object | how it is written |
|---|---|
| `highspy.Highs` | its own `writeModel` |
| `pyscipopt.Model` | its own `writeProblem`, the original problem |
| OR-Tools `pywraplp.Solver` | `ExportModelAsMpsFormat` |
| OR-Tools `model_builder.Model` | `export_to_mps_string` |
| OR-Tools `MPModelProto` | loaded into `model_builder.Model` first |
| OR-Tools MathOpt `Model`, `ModelProto` | MathOpt's own MPS converter |
"""

from __future__ import annotations

import atexit
import importlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def write_model(model: Any, path: Path | None = None) -> Path:
    """Write `model` as MPS; without a path to a temporary file that goes when the interpreter ends.

    Raises TypeError for an object that is none of the above, ValueError when its own package cannot write it.
    """
    if path is None:
        folder = Path(tempfile.mkdtemp(prefix="trimtab-model-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = folder / "model.mps"
    if hasattr(model, "writeModel"):
        status = model.writeModel(str(path))
        if "Error" in str(status):
            raise ValueError(f"HiGHS could not write the model: {status}")
    elif hasattr(model, "writeProblem"):
        model.writeProblem(str(path), verbose=False)
    elif hasattr(model, "ExportModelAsMpsFormat"):
        path.write_text(model.ExportModelAsMpsFormat(False, False), encoding="utf-8")
    elif hasattr(model, "export_to_mps_string"):
        path.write_text(model.export_to_mps_string(), encoding="utf-8")
    elif type(model).__name__ == "MPModelProto":
        path.write_text(_of_proto(model), encoding="utf-8")
    elif hasattr(model, "export_model"):
        path.write_text(_of_math_opt(model.export_model()), encoding="utf-8")
    elif type(model).__name__ == "ModelProto":
        path.write_text(_of_math_opt(model), encoding="utf-8")
    else:
        raise TypeError(
            f"{type(model).__module__}.{type(model).__name__} came; wanted a highspy.Highs, a pyscipopt.Model, an OR-Tools "
            "Solver, ModelBuilder, MPModelProto or MathOpt model; or write an .mps and use IlpSpec.from_file"
        )
    if not path.is_file() or path.stat().st_size == 0:
        raise ValueError(f"{type(model).__name__} wrote no model; is it empty?")
    return path


def _of_proto(proto: Any) -> str:
    # The object came from this package; the SDK itself depends on no solver.
    lost = [
        name
        for name, count in (
            ("general constraints", len(proto.general_constraint)),
            ("a quadratic objective", len(proto.quadratic_objective.coefficient)),
        )
        if count
    ]
    if lost:
        raise ValueError(_dropped("an MPModelProto", lost))
    helper = importlib.import_module("ortools.linear_solver.python.model_builder_helper").ModelBuilderHelper()
    with tempfile.TemporaryDirectory(prefix="trimtab-proto-") as scratch:
        binary = Path(scratch) / "model.pb"
        binary.write_bytes(proto.SerializeToString())
        if not helper.read_model_from_proto_file(str(binary)):
            raise ValueError("OR-Tools could not load the MPModelProto; is it valid?")
    return str(helper.export_to_mps_string())


_BEYOND_MPS = (
    "auxiliary_objectives",
    "quadratic_constraints",
    "second_order_cone_constraints",
    "sos1_constraints",
    "sos2_constraints",
    "indicator_constraints",
)


def _of_math_opt(proto: Any) -> str:
    """Linear models only: OR-Tools' converter drops the rest without a word."""
    lost = [name.replace("_", " ") for name in _BEYOND_MPS if len(getattr(proto, name, ()))]
    if len(proto.objective.quadratic_coefficients.row_ids):
        lost.append("a quadratic objective")
    if lost:
        raise ValueError(_dropped("a MathOpt model", lost))
    converter = importlib.import_module("ortools.math_opt.io.python.mps_converter")
    try:
        return str(converter.model_proto_to_mps(proto))
    except Exception as error:  # the converter raises its status as several types
        raise ValueError(f"MathOpt could not write the model as MPS: {error}") from error


def _dropped(what: str, lost: Sequence[str]) -> str:
    return (
        f"{what} with {', '.join(lost)} came; OR-Tools' MPS writer would drop that without a word. "
        "Build it in pyscipopt and use IlpSpec.from_model, or write an .lp"
    )
