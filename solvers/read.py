"""Reading .mps and .lp files, plain or gzipped, through HiGHS.

The file is hostile until read: call this inside a killable child. What HiGHS shrugs off with a warning (unknown rows,
duplicates, constants it drops) is no reading, because a model that was half read answers another question than the one
asked. HiGHS also misreads some files without a word, and on some broken ones it never returns (3 of 1,000 mutants; an
unknown row's name can do it).

So small files are read by the exact reader first, which names the line of a fault, and both readings are compared. Where
they differ by a written rule (`ExactModel.rules`; the table is in the guide), or HiGHS cannot read the file, the exact
reading is the model. A difference that no rule explains is refused. For large files the time of the exact reading is saved
when a quick look finds nothing that HiGHS is known to take otherwise; `solvers.two_readings` spends it always.
"""

from __future__ import annotations

import codecs
import gzip
import math
import mmap
import os
import re
import tempfile
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import highspy
import numpy as np

from solvers.compare import differences, refuse_unruled_differences
from solvers.errors import ModelError
from solvers.exact import ExactModel, read_exact
from solvers.exact.model import INFINITE
from solvers.from_exact import from_exact
from solvers.types import Bools, Floats, MilpModel

Format = Literal["auto", "mps", "lp"]

_CHUNK = 1 << 20
_SNIFFED = 64 * 1024
_KEPT_LOG_BYTES = 64 * 1024
_SMALL = "the file has coefficients that HiGHS does not hold: the exact reading is solved"
_DROPPED_BY_HIGHS = Fraction(
    1, 10**12
)  # coefficients up to here; the exact reading keeps them
_MPS_START = re.compile(
    rb"^(NAME|ROWS|OBJSENSE|OBJSENSE_?\w*|OBJNAME|REFROW|FREE)\b", re.IGNORECASE
)
_MPS_HEADER = re.compile(rb"\n[^\s*]\S*")
_SPECIAL_MPS = frozenset(
    b"SOS SOS1 SOS2 SETS QUADOBJ QMATRIX QSECTION QCMATRIX CSECTION INDICATORS GENCONS PWLOBJ LAZYCONS USERCUTS".split()
)
_SEMI_BOUND = re.compile(rb"\n[ \t]*S[CI][ \t]")
_SPECIAL_LP = re.compile(
    rb"\n[ \t]*(?:sos|semi|lazy|user|gencons|pwlobj|general constraints)", re.IGNORECASE
)
# What HiGHS 1.16 reads otherwise than written, without a warning: at the head of MPS, and among its bounds.
_OTHERWISE_HEAD = re.compile(
    rb"(?:\A|\n)(?:OBJSENSE[ \t]+(?!MAX\s|MIN\s)|OBJNAME)", re.IGNORECASE
)
_NEGATIVE_UPPER = re.compile(rb"\n[ \t]*U[PI][ \t][^\n]*[ \t]-[.0-9]")
_FREE_ROW = re.compile(rb"\n[ \t]*N[ \t]")
_BINARY_LP = re.compile(
    rb"\n[ \t]*(?:binary|binaries|bin|bins)[ \t\r]*\n([^<>=:]*)\n", re.IGNORECASE
)
_LP_START = re.compile(rb"^\s*(max|min)(imi[sz]e|imum)?\b", re.IGNORECASE)
_LOSES_SOMETHING = re.compile(
    r"ignored|not defined|same name|duplicate|not valid", re.IGNORECASE
)
_HARMLESS = re.compile(
    r"HighsSparseMatrix|appears more than once in this constraint|No objective row found"
)


@dataclass(frozen=True, kw_only=True)
class ReadLimits:
    """What a file may cost."""

    max_bytes: int = 1 << 30  # after decompression
    max_columns: int = 50_000_000
    max_rows: int = 50_000_000
    max_nonzeros: int = 200_000_000
    compared_bytes: int = (
        4 << 20
    )  # up to this size (plain) the exact reader reads too: at most about 0.6 s


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A model, and what its author should know about how it was read."""

    model: MilpModel
    notes: tuple[str, ...] = ()


def read_model(
    path: str | os.PathLike[str],
    *,
    format: Format = "auto",
    name: str | None = None,
    limits: ReadLimits | None = None,
    workdir: str | os.PathLike[str] | None = None,
) -> MilpModel:
    """The model of a file; see `read_with_notes`."""
    return read_with_notes(
        path, format=format, name=name, limits=limits, workdir=workdir
    ).model


def read_with_notes(
    path: str | os.PathLike[str],
    *,
    format: Format = "auto",
    name: str | None = None,
    limits: ReadLimits | None = None,
    workdir: str | os.PathLike[str] | None = None,
    exact: ExactModel | None = None,
    with_highs: bool = True,
) -> Reading:
    """The model of a file. `name` is the file's own name where `path` no longer tells (content-addressed stores).

    `exact` is the exact reading of the same file, where the caller has it; without HiGHS (which crashes on some files) it
    alone is the model. Raises ModelError. A file with parts that are not
    linear (`MilpModel.extras`) is read by the exact reader alone: HiGHS reads some of them, drops others and fails on the
    rest.
    """
    limits = limits or ReadLimits()
    source = Path(path)
    shown = name or source.name
    with tempfile.TemporaryDirectory(prefix="read-", dir=workdir) as scratch:
        plain = _decompressed(source, Path(scratch) / "content", shown, limits)
        kind = format if format != "auto" else _told_format(plain, shown)
        # HiGHS tells the format by the ending and by nothing else.
        named = Path(scratch) / f"model.{kind}"
        named.symlink_to(plain.resolve())
        if exact is None and (not with_highs or _wants_exact_reading(plain, kind, limits)):
            exact = read_exact(plain, format=kind, name=shown)
        if exact is not None and not with_highs:
            return _of_exact(
                exact,
                shown,
                limits,
                "HiGHS' reader broke on the file: the exact reading is solved",
            )
        if exact is not None:
            return _settled(exact, named, shown, limits)
        try:
            engine, complete = _read_with_highs(named)
            if not complete:
                return _of_exact(
                    read_exact(plain, format=kind, name=shown), shown, limits, _SMALL
                )
            model = _model(engine, shown, limits)
        except ModelError as error:
            try:
                exact = read_exact(plain, format=kind, name=shown)
            except ModelError as fault:
                raise (
                    ModelError(f"{fault} ({error})") if fault.line is not None else error
                ) from None
            return _of_exact(
                exact,
                shown,
                limits,
                f"HiGHS cannot read the file ({error}): the exact reading is solved",
            )
        if (
            _binaries_beyond(plain, kind, model)
            or _has_empty_interval(model)
            or _has_spaces(model)
        ):
            return _settled(
                read_exact(plain, format=kind, name=shown), named, shown, limits
            )
        return Reading(model=model)


def _wants_exact_reading(plain: Path, kind: str, limits: ReadLimits) -> bool:
    return (
        plain.stat().st_size <= limits.compared_bytes
        or _may_be_special(plain, kind)
        or (kind == "mps" and _may_be_read_otherwise(plain))
    )


def _settled(exact: ExactModel, named: Path, shown: str, limits: ReadLimits) -> Reading:
    """One model out of both readings."""
    if not exact.linear:
        return _of_exact(exact, shown, limits)
    if _beyond_highs(exact):
        return _of_exact(exact, shown, limits, _SMALL)
    try:
        model = _model(_read_with_highs(named)[0], shown, limits)
    except ModelError as error:
        # The exact reader is strict: what it reads is well formed, and nothing contradicts it.
        return _of_exact(
            exact,
            shown,
            limits,
            f"HiGHS cannot read the file ({error}): the exact reading is solved",
        )
    if differences(exact, model):
        refuse_unruled_differences(exact, model)
        return _of_exact(
            exact,
            shown,
            limits,
            "HiGHS reads the file otherwise: the exact reading is solved",
        )
    return Reading(model=model, notes=exact.remarks)


def _of_exact(exact: ExactModel, shown: str, limits: ReadLimits, *why: str) -> Reading:
    notes = (*why, *(exact.rules if why else ()), *exact.remarks)
    return Reading(model=_within(from_exact(exact), shown, limits), notes=notes)


def _may_be_read_otherwise(plain: Path) -> bool:
    """A quick look for what HiGHS is known to misread in MPS. Too often yes costs time, never an answer."""
    with (
        plain.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        columns, sides = text.find(b"\nCOLUMNS"), text.find(b"\nRHS")
        ranges, bounds = text.find(b"\nRANGES"), text.find(b"\nBOUNDS")
        if min(columns, sides) < 0:  # an unusual file, or small letters
            return True
        return (
            text.find(b"$") >= 0
            or 0 <= ranges < sides
            or text.find(b"*SENSE:Max", 0, columns) >= 0
            or _OTHERWISE_HEAD.search(text, 0, columns) is not None
            or len(_FREE_ROW.findall(text, 0, columns)) > 1
            or (bounds >= 0 and _NEGATIVE_UPPER.search(text, bounds) is not None)
        )


def _binaries_beyond(plain: Path, kind: str, model: MilpModel) -> bool:
    """Whether HiGHS left a variable of an LP file's Binary section bounds beyond [0, 1]: those given before stay there."""
    if kind != "lp" or model.col_names is None:
        return False
    beyond = np.flatnonzero(
        model.integrality & ((model.col_lower < 0) | (model.col_upper > 1))
    )
    if not len(beyond):
        return False
    binaries: set[str] = set()
    with (
        plain.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        for section in _BINARY_LP.finditer(text):
            binaries.update(section[1].decode("utf-8", "replace").split())
    return any(model.col_names[column] in binaries for column in beyond.tolist())


def _has_spaces(model: MilpModel) -> bool:
    """Whether names hold spaces: HiGHS has read fixed columns, where it takes some bounds otherwise."""
    return any(
        " " in name for names in (model.col_names, model.row_names) for name in names or ()
    )


def _has_empty_interval(model: MilpModel) -> bool:
    """Whether an upper bound is below 0 and the lower one 0: in MPS that is -infinity, unless the file says 0."""
    return bool(((model.col_upper < 0) & (model.col_lower == 0)).any())


def _decompressed(source: Path, target: Path, shown: str, limits: ReadLimits) -> Path:
    """The file itself, or its content when it is gzipped, with the limits kept."""
    try:
        size = source.stat().st_size
        with source.open("rb") as file:
            magic = file.read(2)
    except OSError as error:
        raise ModelError(f"cannot open {shown}: {error.strerror or error}") from error
    if size == 0:
        raise ModelError(f"{shown} is empty; wanted an .mps or .lp model")
    if magic != b"\x1f\x8b":
        if size > limits.max_bytes:
            raise ModelError(
                f"{shown} has {size:,} bytes; at most {limits.max_bytes:,} are read"
            )
        return source
    written = 0
    try:
        with gzip.open(source, "rb") as packed, target.open("wb") as out:
            while chunk := packed.read(_CHUNK):
                written += len(chunk)
                if written > limits.max_bytes:
                    raise ModelError(
                        f"{shown} unpacks to more than {limits.max_bytes:,} bytes, the most that is read"
                    )
                out.write(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ModelError(
            f"{shown} is a damaged gzip file ({error}); pack it again or send it plain"
        ) from error
    if written == 0:
        raise ModelError(f"{shown} unpacks to nothing; wanted an .mps or .lp model")
    return target


def format_of(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    limits: ReadLimits | None = None,
) -> Literal["mps", "lp"]:
    """The format of a file, by its name, then by its content. Raises ModelError."""
    shown = name or Path(path).name
    known = _named_format(shown)
    if known is not None:
        return known
    with tempfile.TemporaryDirectory(prefix="read-") as scratch:
        plain = _decompressed(
            Path(path), Path(scratch) / "content", shown, limits or ReadLimits()
        )
        return _told_format(plain, shown)


def _named_format(shown: str) -> Literal["mps", "lp"] | None:
    stem = shown.lower().removesuffix(".gz")
    return "mps" if stem.endswith(".mps") else "lp" if stem.endswith(".lp") else None


def _told_format(plain: Path, shown: str) -> Literal["mps", "lp"]:
    """By the name, then by the first lines that say something."""
    known = _named_format(shown)
    if known is not None:
        return known
    with plain.open("rb") as file:
        head = file.read(_SNIFFED)
    for line in head.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith((b"*", b"\\")):
            continue
        if _LP_START.match(line):
            return "lp"
        if _MPS_START.match(line):
            return "mps"
        break
    raise ModelError(
        f"cannot tell the format of {shown}: wanted a name ending in .mps or .lp (or .gz of these), or content that "
        "begins with NAME, ROWS or OBJSENSE (MPS) or with Minimize or Maximize (LP); say the format with the job"
    )


def _may_be_special(plain: Path, kind: str) -> bool:
    """A quick look for words that say more than linear rows and integers. Too often yes costs time, never an answer."""
    with (
        plain.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        if kind == "lp":
            return (
                text.find(b"[") >= 0
                or text.find(b"->") >= 0
                or _SPECIAL_LP.search(text) is not None
            )
        bounds = None
        for header in _MPS_HEADER.finditer(text):
            word = header[0].strip().upper()
            if word in _SPECIAL_MPS:
                return True
            bounds = header.end() if word == b"BOUNDS" and bounds is None else bounds
        return bounds is not None and _SEMI_BOUND.search(text, bounds) is not None


def _within(model: MilpModel, shown: str, limits: ReadLimits) -> MilpModel:
    for what, came, most in (
        ("columns", model.n, limits.max_columns),
        ("rows", model.m, limits.max_rows),
        ("coefficients", model.nnz, limits.max_nonzeros),
    ):
        if came > most:
            raise ModelError(f"{shown} has {came:,} {what}; at most {most:,} are taken")
    return model


def _read_with_highs(path: Path) -> tuple[Any, bool]:
    """HiGHS with the model, and False when it left out small coefficients or took large costs for infinite."""
    _refuse_what_is_no_text(path)
    engine = highspy._core._Highs()
    engine.setOptionValue("log_to_console", False)
    # Coefficients of any size are read; solvers get them scaled.
    engine.setOptionValue("large_matrix_value", math.inf)
    engine.setOptionValue("small_matrix_value", float(_DROPPED_BY_HIGHS))
    # A file, not the logging callback: HiGHS puts bytes of foreign memory into some messages, and the callback's
    # conversion to text then throws through its frames.
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
            raise ModelError(f"HiGHS would drop a part of the model: {_tidy([line], path)}")
    dropped = any("HighsSparseMatrix" in line and "ignored" in line for line in log)
    return engine, not dropped and bool(np.isfinite(engine.getLp().col_cost_).all())


def _beyond_highs(exact: ExactModel) -> bool:
    """True where HiGHS would leave out coefficients or take costs for infinite."""
    small = any(0 < abs(value) <= _DROPPED_BY_HIGHS for value in exact.values)
    return small or any(abs(cost) >= INFINITE for cost in exact.objective.values())


def _complaints(log_path: Path) -> list[str]:
    """HiGHS' warnings and errors; an error comes with the lines below it, which show the place."""
    try:
        with log_path.open("rb") as file:
            text = file.read(_KEPT_LOG_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    found: list[str] = []
    for line in text.splitlines():
        if "WARNING" in line or "ERROR" in line:
            found.append(line.strip())
        elif found and line.strip():
            found[-1] += f" {line.strip()}"
    return found


def _refuse_what_is_no_text(path: Path) -> None:
    # HiGHS hands names and messages over as they are; what is no UTF-8 would surface as an error in the middle of a callback.
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            if b"\0" in chunk:
                raise ModelError(
                    "the file holds NUL bytes; wanted text: an .mps or .lp model, plain or gzipped"
                )
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                raise ModelError(
                    "the file is not UTF-8 text; wanted an .mps or .lp model, plain or gzipped"
                ) from None
            if not chunk:
                return


def _tidy(lines: list[str], path: Path) -> str:
    """HiGHS' own words without our scratch path and its marks."""
    text = " / ".join(lines)
    text = text.replace(str(path), "the file").replace("WARNING:", "").replace("ERROR:", "")
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:600]


def _model(engine: Any, shown: str, limits: ReadLimits) -> MilpModel:
    if engine.getNumCol() == 0 and engine.getNumRow() == 0:
        raise ModelError(f"{shown} holds no variables and no rows")
    engine.ensureRowwise()
    lp = engine.getLp()
    maximize = lp.sense_ == highspy.ObjSense.kMaximize
    sign = -1.0 if maximize else 1.0
    integrality, semi = _integrality(lp)
    if semi or engine.getHessianNumNz():
        # The quick look finds all that the exact reader knows to be special; a model half read must not pass.
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
    return _within(model, shown, limits)


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
                f"{shown} gives two {what} the name {each[:100]!r}; wanted a name of its own for each"
            )
        seen.add(each)
