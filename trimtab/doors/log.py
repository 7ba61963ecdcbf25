"""Log of a solve: one line for each incumbent and bound, while it runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from trimtab.results import PRINTED

_HEADER = "   seconds       incumbent           bound       gap  found by"


class SolveLog:
    """Collects the lines of a solve; writes them as they come to a stream, a file, or both."""

    def __init__(self, stream: TextIO | None = None, path: Path | None = None) -> None:
        self._stream = stream
        self._file = None if path is None else path.open("a", encoding="utf-8")
        self._lines: list[str] = []
        self._headed = False

    @classmethod
    def to(cls, tee: Any, path: Any = None) -> SolveLog:
        """Return a log for a library's `tee`: True is standard output, a stream is itself."""
        stream = tee if hasattr(tee, "write") else (sys.stdout if tee else None)
        return cls(stream, Path(path) if path else None)

    @property
    def text(self) -> str:
        """All lines."""
        return "".join(f"{line}\n" for line in self._lines)

    def line(self, text: str) -> None:
        """Add a line."""
        self._lines.append(text)
        for target in (self._stream, self._file):
            if target is not None:
                target.write(text + "\n")
                target.flush()

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Add the line of an event; phases before the first incumbent are left out."""
        if kind == "incumbent":
            if not self._headed:
                self._headed = True
                self.line(_HEADER)
            self.line(_point(data))
        elif kind == "log" and data.get("level") != PRINTED and data.get("message"):
            self.line(str(data["message"]))

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()


def _point(data: Mapping[str, Any]) -> str:
    gap = data.get("gap")
    shown = "-" if gap is None else f"{gap:.4%}"
    elapsed_s = float(data.get("elapsed_s") or 0.0)
    objective, bound = number(data.get("objective")), number(data.get("bound"))
    source = data.get("source") or ""
    return f"{elapsed_s:10.2f}  {objective:>14}  {bound:>14}  {shown:>8}  {source}"


def number(value: float | None) -> str:
    """Return a figure for a log; a dash for None."""
    return "-" if value is None else f"{value:.10g}"
