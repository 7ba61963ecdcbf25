"""Shims: `trimtab cc` as one word, started without the packages of the environment."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

_TEXT = """#!/bin/sh
# Written by trimtab cc: calls it without start-up of the environment's other packages.
exec {python} -I -S -c 'import sys
sys.path[:0] = {folders}
from trimtab.wrapper.main import main
sys.exit(main(sys.argv[1:], cxx={cxx}))' "$@"
"""


def write_shims(folder: str) -> int:
    """Write trimtab-cc and trimtab-c++ into a folder; return the exit code."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, cxx in (("trimtab-cc", False), ("trimtab-c++", True)):
        folders = json.dumps(_folders()).replace("'", "\\u0027")
        text = _TEXT.format(python=shlex.quote(sys.executable), folders=folders, cxx=cxx)
        path = place / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        print(path.resolve())
    return 0


def _folders() -> list[str]:
    """Return where this package and the wheel `ziglang` are: two places in a checkout."""
    own = str(Path(__file__).resolve().parents[2])
    zig = (folder for folder in sys.path if (Path(folder) / "ziglang" / "zig").is_file())
    return list(dict.fromkeys((own, *zig)))
