"""Reading .mps and .lp files, plain or gzipped, for the search.

Files are hostile: call this in a child that can be killed. HiGHS misreads some files without a
warning, and never returns from some broken ones (3 of 1,000 mutants; the name of an unknown row is
enough).

So small files are read by the exact reader first, which names the line of an error, and both
readings are compared. Where they differ by a written rule (`ExactModel.rules`, listed in
deploy/docs/guide/reading-models.md), or HiGHS cannot read the file, the exact reading is the model.
A difference without a rule is refused. Large files are read by HiGHS alone when a quick look finds
nothing that HiGHS is known to misread; `solvers.two_readings` reads every file twice.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from solvers.compare import differences, refuse_unruled_differences
from solvers.errors import ModelError
from solvers.exact import ExactModel, read_exact
from solvers.from_exact import from_exact
from solvers.highs_reader import beyond_highs, model_of, read_with_highs
from solvers.model_file import Format, ReadLimits, decompressed, format_of, tell_format
from solvers.quick_looks import may_be_misread, may_be_special, was_misread
from solvers.types import MilpModel

__all__ = [
    "Format",
    "ReadLimits",
    "Reading",
    "format_of",
    "read_model",
    "read_with_notes",
]

_SMALL = "the file has coefficients that HiGHS does not hold: the exact reading is solved"
_CRASHED = "HiGHS' reader broke on the file: the exact reading is solved"
_OTHERWISE = "HiGHS reads the file otherwise: the exact reading is solved"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A model, and notes for its author about how it was read."""

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
    """Read the model of a file; see `read_with_notes`."""
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
    """Read the model of a file. Raises ModelError.

    A file with parts that are not linear (`MilpModel.extras`) is read by the exact reader alone:
    HiGHS reads some of them, drops others and fails on the rest.

    name: the original name of the file, where `path` does not show it (content-addressed stores).
    exact: the exact reading of the same file, if the caller has it.
    with_highs: False reads with the exact reader alone, for files that crash HiGHS.
    """
    limits = limits or ReadLimits()
    source = Path(path)
    shown = name or source.name
    with tempfile.TemporaryDirectory(prefix="read-", dir=workdir) as scratch:
        plain = decompressed(source, Path(scratch) / "content", shown, limits)
        kind = format if format != "auto" else tell_format(plain, shown)
        # HiGHS tells the format by the ending only.
        named = Path(scratch) / f"model.{kind}"
        named.symlink_to(plain.resolve())
        file = _File(plain=plain, named=named, kind=kind, shown=shown, limits=limits)
        if not with_highs:
            return file.of_exact(exact or file.read_exact(), _CRASHED)
        if exact is None and file.needs_exact_reading():
            exact = file.read_exact()
        return file.read_fast() if exact is None else file.settled(exact)


@dataclass(frozen=True, kw_only=True)
class _File:
    """An unpacked file and how it is read."""

    plain: Path
    named: Path  # a link to `plain` with the ending of its format
    kind: Format
    shown: str  # its name in messages
    limits: ReadLimits

    def read_exact(self) -> ExactModel:
        """Read with the exact reader."""
        return read_exact(self.plain, format=self.kind, name=self.shown)

    def needs_exact_reading(self) -> bool:
        """Return True for small files and where a quick look finds a reason."""
        return (
            self.plain.stat().st_size <= self.limits.compared_bytes
            or may_be_special(self.plain, self.kind)
            or (self.kind == "mps" and may_be_misread(self.plain))
        )

    def read_fast(self) -> Reading:
        """Read with HiGHS, and exactly only where HiGHS fails or a doubt remains."""
        try:
            engine, complete = read_with_highs(self.named)
            if not complete:
                return self.of_exact(self.read_exact(), _SMALL)
            model = model_of(engine, self.shown, self.limits)
        except ModelError as error:
            try:
                exact = self.read_exact()
            except ModelError as fault:
                raise (
                    ModelError(f"{fault} ({error})") if fault.line is not None else error
                ) from None
            return self.of_exact(exact, _unreadable(error))
        if was_misread(self.plain, self.kind, model):
            return self.settled(self.read_exact())
        return Reading(model=model)

    def settled(self, exact: ExactModel) -> Reading:
        """Read with HiGHS too and settle on one of both readings."""
        if not exact.linear:
            return self.of_exact(exact)
        if beyond_highs(exact):
            return self.of_exact(exact, _SMALL)
        try:
            engine, _ = read_with_highs(self.named)
            model = model_of(engine, self.shown, self.limits)
        except ModelError as error:
            # The exact reader is strict: a file that it reads is well formed.
            return self.of_exact(exact, _unreadable(error))
        if differences(exact, model):
            refuse_unruled_differences(exact, model)
            return self.of_exact(exact, _OTHERWISE)
        return Reading(model=model, notes=exact.remarks)

    def of_exact(self, exact: ExactModel, *why: str) -> Reading:
        """Make the exact reading the model. `why` is a note about the reason."""
        notes = (*why, *(exact.rules if why else ()), *exact.remarks)
        return Reading(
            model=self.limits.check(from_exact(exact), self.shown), notes=notes
        )


def _unreadable(error: ModelError) -> str:
    why = str(error).removeprefix("HiGHS cannot read the file: ")
    return f"HiGHS cannot read the file ({why}): the exact reading is solved"
