"""Files and members of archives that a link loads, as the linker itself lists them (`-t`)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.wrapper.command import with_words, without_outputs

_GNU = re.compile(r"\((?P<file>.+)\)(?P<member>[^()]+)")
_LLVM = re.compile(r"(?P<file>.+)\((?P<member>[^()]+)\)")
_LINK_S = 600.0


class NoTrace(Exception):
    """The linker does not say what it loads. The message has its words."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A file that the linker read, or one member of an archive."""

    path: Path
    member: str = ""


def trace(clang: Sequence[str], words: Sequence[str], scratch: Path) -> list[Loaded]:
    """Link once more into `scratch`; return what was loaded, in order. Raises NoTrace."""
    out = str(scratch / "traced")
    done = subprocess.run(
        [*clang, *with_words(without_outputs(words), "-Wl,-t,-t", "-o", out)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=_LINK_S,
    )
    if done.returncode:
        raise NoTrace(f"the linker takes no -t: {done.stderr.strip()[:500]}")
    loaded: dict[Loaded, None] = {}
    for line in (done.stdout + done.stderr).splitlines():
        entry = _entry(line.removeprefix("trace: "))
        if entry is not None:
            loaded[entry] = None
    if not loaded:
        raise NoTrace("the linker lists no files with -t")
    return list(loaded)


def _entry(line: str) -> Loaded | None:
    if (path := Path(line)).is_file():
        return Loaded(path=path)
    for form in (_GNU, _LLVM):
        match = form.fullmatch(line)
        if match and Path(match["file"]).is_file():
            return Loaded(path=Path(match["file"]), member=match["member"])
    return None
