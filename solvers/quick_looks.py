"""Quick looks at a file for what HiGHS 1.16 misreads, and for parts that are not linear.

A false alarm costs the time of the exact reading, never a wrong answer.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from solvers.types import MilpModel

_MPS_HEADER = re.compile(rb"\n[^\s*]\S*")
_SPECIAL_MPS = frozenset(
    b"SOS SOS1 SOS2 SETS QUADOBJ QMATRIX QSECTION QCMATRIX CSECTION INDICATORS GENCONS "
    b"PWLOBJ LAZYCONS USERCUTS".split()
)
_SEMI_BOUND = re.compile(rb"\n[ \t]*S[CI][ \t]")
_SPECIAL_LP = re.compile(
    rb"\n[ \t]*(?:sos|semi|lazy|user|gencons|pwlobj|general constraints)", re.IGNORECASE
)
# Without a warning, HiGHS reads these otherwise: at the head of MPS, and among its bounds.
_MISREAD_HEAD = re.compile(
    rb"(?:\A|\n)(?:OBJSENSE[ \t]+(?!MAX\s|MIN\s)|OBJNAME)", re.IGNORECASE
)
_NEGATIVE_UPPER = re.compile(rb"\n[ \t]*U[PI][ \t][^\n]*[ \t]-[.0-9]")
_FREE_ROW = re.compile(rb"\n[ \t]*N[ \t]")
_BINARY_LP = re.compile(
    rb"\n[ \t]*(?:binary|binaries|bin|bins)[ \t\r]*\n([^<>=:]*)\n", re.IGNORECASE
)


def may_be_special(plain: Path, kind: str) -> bool:
    """Look for words of parts beyond linear rows and integers."""
    with _mapped(plain) as text:
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


def may_be_misread(plain: Path) -> bool:
    """Look for what HiGHS misreads in MPS."""
    with _mapped(plain) as text:
        columns, sides = text.find(b"\nCOLUMNS"), text.find(b"\nRHS")
        ranges, bounds = text.find(b"\nRANGES"), text.find(b"\nBOUNDS")
        if min(columns, sides) < 0:  # an unusual file, or lower case
            return True
        return (
            text.find(b"$") >= 0
            or 0 <= ranges < sides
            or text.find(b"*SENSE:Max", 0, columns) >= 0
            or _MISREAD_HEAD.search(text, 0, columns) is not None
            or len(_FREE_ROW.findall(text, 0, columns)) > 1
            or (bounds >= 0 and _NEGATIVE_UPPER.search(text, bounds) is not None)
        )


def was_misread(plain: Path, kind: str, model: MilpModel) -> bool:
    """Look at the model that HiGHS read for signs that it misread the file."""
    return (
        _has_binaries_beyond(plain, kind, model)
        or _has_empty_interval(model)
        or _has_spaces(model)
    )


def _has_binaries_beyond(plain: Path, kind: str, model: MilpModel) -> bool:
    """Return True when variables of LP's Binary section have bounds beyond [0, 1].

    HiGHS leaves them the bounds that stood before the section.
    """
    if kind != "lp" or model.col_names is None:
        return False
    beyond = np.flatnonzero(
        model.integrality & ((model.col_lower < 0) | (model.col_upper > 1))
    )
    if not len(beyond):
        return False
    binaries: set[str] = set()
    with _mapped(plain) as text:
        for section in _BINARY_LP.finditer(text):
            binaries.update(section[1].decode("utf-8", "replace").split())
    return any(model.col_names[column] in binaries for column in beyond.tolist())


def _has_spaces(model: MilpModel) -> bool:
    """Return True when names hold spaces: HiGHS read fixed columns and may misread bounds."""
    return any(
        " " in name
        for names in (model.col_names, model.row_names)
        for name in names or ()
    )


def _has_empty_interval(model: MilpModel) -> bool:
    """Return True for an upper bound below 0 with a lower one of 0.

    In MPS the lower bound is -infinity then, unless the file says 0.
    """
    return bool(((model.col_upper < 0) & (model.col_lower == 0)).any())


@contextmanager
def _mapped(plain: Path) -> Iterator[mmap.mmap]:
    with (
        plain.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        yield text
