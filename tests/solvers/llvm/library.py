"""Run code on libLLVM in a process of its own, as the engine does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from solvers.llvm import install

_PRELUDE = """
import json, sys
from solvers.llvm.capi import CApi
from solvers.llvm.module import Session
api = CApi(sys.argv[1])
target = dict(triple="x86_64-unknown-linux-gnu", cpu="x86-64", features="", pic=True)
session = Session(api, **target)
module = session.parse(open(sys.argv[2], "rb").read())
"""


def on_module(module: bytes, code: str, folder: Path) -> Any:
    """Run `code` with `api`, `session` and `module`; return its variable `result`.

    `result` has to be JSON. stderr is a file: the session reads LLVM's messages back from it.
    """
    path = folder / "module.bin"
    path.write_bytes(module)
    program = f"{_PRELUDE}{code}\nprint(json.dumps(result))"
    command = [sys.executable, "-c", program, str(install.find_llvm().library), str(path)]
    with (folder / "stderr").open("w+") as stderr:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
            timeout=120,
        )
        stderr.seek(0)
        assert done.returncode == 0, stderr.read()
    return json.loads(done.stdout)
