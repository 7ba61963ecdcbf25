"""Reading with HiGHS: its log decides whether the file was read whole.

HiGHS shrugs off unknown rows, duplicates and constants it drops with a warning. A model that was
half read answers another question than the one asked, so such a file is refused here.
"""

from __future__ import annotations

import codecs
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import highspy
import numpy as np

from solvers.errors import ModelError
from solvers.exact import ExactModel
from solvers.exact.model import INFINITE
from solvers.model_file import ReadLimits
from solvers.types import Bools, Floats, MilpModel

_CHUNK = 1 << 20
_LOG_BYTES = 64 * 1024  # of the log that are read
_DROPPED = Fraction(1, 10**12)  # HiGHS drops coefficients up to here
_LOSES_SOMETHING = re.compile(
    r"ignored|not defined|same name|duplicate|not valid", re.IGNORECASE
)
_HARMLESS = re.compile(
    r"HighsSparseMatrix|appears more than once in this constraint|No objective row found"
)


def read_with_highs(path: Path) -> tuple[Any, bool]:
    """Return HiGHS with the model, and whether the model is complete.

    It is not when HiGHS dropped small coefficients or took large costs for infinite. Raises
    ModelError when HiGHS cannot read the file or drops other parts.
    """
    _refuse_binary(path)
    engine = highspy._core._Highs()
    engine.setOptionValue("log_to_console", False)
    # Coefficients of any size are read; solvers get them scaled.
    engine.setOptionValue("large_matrix_value", math.inf)
    engine.setOptionValue("small_matrix_value", float(_DROPPED))
    # A file instead of the logging callback: HiGHS puts bytes of foreign memory into some messages,
    # and the callback's conversion to text then throws through its frames.
    log_path = path.with_name("highs.log")
    engine.setOptionValue("log_file", str(log_path))
    status = engine.readModel(str(path))
    engine.setOptionValue("log_file", "")
    log = _complaints(log_path)
    if status == highspy.HighsStatus.kError:
        why = _tidy([line for line in log if "ERROR" in line] or log, path)
        raise ModelError(f"HiGHS cannot read the file: {why or 'it gives no reason'}")
    for line in log:
        if _LOSES_SOMETHING.search(line) and not _HARMLESS.search(line):
            raise ModelError(
                f"HiGHS would drop a part of the model: {_tidy([line], path)}"
            )
    dropped = any("HighsSparseMatrix" in line and "ignored" in line for line in log)
    return engine, not dropped and bool(np.isfinite(engine.getLp().col_cost_).all())


def _complaints(log_path: Path) -> list[str]:
    """Return the warnings and errors, each with the lines below it, which show the place."""
    try:
        with log_path.open("rb") as file:
            text = file.read(_LOG_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    complaints: list[str] = []
    for line in text.splitlines():
        if "WARNING" in line or "ERROR" in line:
            complaints.append(line.strip())
        elif complaints and line.strip():
            complaints[-1] += f" {line.strip()}"
    return complaints


def _refuse_binary(path: Path) -> None:
    """Raise ModelError for a file that is not UTF-8 text.

    HiGHS passes names on unchanged; other bytes would raise in the middle of a callback.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            if b"\0" in chunk:
                raise ModelError(
                    "expected UTF-8 text of an .mps or .lp model, plain or gzipped, got NUL bytes"
                )
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                raise ModelError(
                    "expected UTF-8 text of an .mps or .lp model, plain or gzipped, "
                    "got other bytes"
                ) from None
            if not chunk:
                return


def _tidy(lines: list[str], path: Path) -> str:
    """Join lines of the log, without our scratch path and the marks of HiGHS."""
    text = " / ".join(lines)
    text = (
        text.replace(str(path), "the file").replace("WARNING:", "").replace("ERROR:", "")
    )
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:600]


def model_of(engine: Any, shown: str, limits: ReadLimits) -> MilpModel:
    """Return the model that HiGHS has read. Raises ModelError."""
    if engine.getNumCol() == 0 and engine.getNumRow() == 0:
        raise ModelError(f"{shown} holds no variables and no rows")
    engine.ensureRowwise()
    lp = engine.getLp()
    maximize = lp.sense_ == highspy.ObjSense.kMaximize
    sign = -1.0 if maximize else 1.0
    integrality, semi = _integrality(lp)
    if semi or engine.getHessianNumNz():
        # The quick look finds all parts that the exact reader knows; others must not be lost.
        raise ModelError(
            f"{shown} has parts that are not linear, written in a way that only HiGHS understands"
        )
    try:
        col_names, row_names = tuple(lp.col_names_), tuple(lp.row_names_)
    except UnicodeDecodeError:
        raise ModelError(f"{shown} has names that are not UTF-8 text") from None
    for what, names in (("variables", col_names), ("rows", row_names)):
        _refuse_duplicates(what, names, shown)
    lower, upper = _floats(lp.col_lower_), _floats(lp.col_upper_)
    matrix = lp.a_matrix_
    try:
        model = MilpModel(
            c=_floats(lp.col_cost_) * sign,
            offset=float(lp.offset_) * sign,
            col_lower=lower,
            col_upper=upper,
            integrality=integrality,
            indptr=np.array(matrix.start_, dtype=np.int32),
            indices=np.array(matrix.index_, dtype=np.int32),
            data=_floats(matrix.value_),
            row_lower=_floats(lp.row_lower_),
            row_upper=_floats(lp.row_upper_),
            maximize=maximize,
            col_names=col_names or None,
            row_names=row_names or None,
            name=_text(lp),
        )
    except ValueError as error:
        raise ModelError(f"{shown}: {error}") from error
    return limits.check(model, shown)


def _text(lp: Any) -> str:
    try:
        return str(lp.model_name_)[:200]
    except UnicodeDecodeError:
        return ""


def _floats(values: Any) -> Floats:
    return np.array(values, dtype=np.float64)


def _integrality(lp: Any) -> tuple[Bools, int]:
    types = np.array([int(kind) for kind in lp.integrality_], dtype=np.int8)
    if len(types) == 0:
        return np.zeros(lp.num_col_, dtype=np.bool_), 0
    # 0 continuous, 1 integer, 2 semi-continuous, 3 semi-integer, 4 implied integer
    return np.isin(types, (1, 3, 4)), int(np.isin(types, (2, 3)).sum())


def _refuse_duplicates(what: str, names: tuple[str, ...], shown: str) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for each in names:
        if each in seen:
            raise ModelError(
                f"{shown}: expected a distinct name for each of the {what}, "
                f"got {each[:100]!r} twice"
            )
        seen.add(each)


def beyond_highs(exact: ExactModel) -> bool:
    """Return True where HiGHS would drop coefficients or take costs for infinite."""
    small = any(0 < abs(value) <= _DROPPED for value in exact.values)
    return small or any(abs(cost) >= INFINITE for cost in exact.objective.values())
