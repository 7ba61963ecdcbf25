"""Generate the blocking client of the SDK from the asyncio client.

    python deploy/tools/unasync.py [--check]

Like httpcore's script of the same name: `async` and `await` are removed and names of asyncio types
are replaced word by word; ruff then sorts the imports and formats. `--check` writes nothing and
exits with 1 when a generated file is not what its source gives. Parts that cannot be translated
are written by hand in `trimtab/_twins.py`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAIRS = (
    ("trimtab/_connection_aio.py", "trimtab/_connection.py"),
    ("trimtab/aio.py", "trimtab/client.py"),
    ("trimtab/_plan_aio.py", "trimtab/_plan.py"),
)
HEADER = """\
# Generated from {source} by deploy/tools/unasync.py. Edit that file, then run
# `python deploy/tools/unasync.py`.

"""
# Methods of the asyncio handles that are properties of the blocking ones.
PROPERTIES = {
    "trimtab/_connection_aio.py": (),
    "trimtab/aio.py": ("artifacts",),
    "trimtab/_plan_aio.py": ("outline", "leaves", "text", "jobs", "report"),
}
WORDS = {
    "AsyncBaseTransport": "BaseTransport",
    "AsyncClient": "Client",
    "AsyncConnection": "Connection",
    "AsyncIterator": "Iterator",
    "AsyncJob": "Job",
    "AsyncPlan": "Plan",
    "AsyncPlanLeaf": "PlanLeaf",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "_connection_aio": "_connection",
    "achunks": "chunks",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "aread": "read",
    "aread_bytes": "read_bytes",
    "arun_all": "run_all",
    "asleep": "sleep",
    "awith_values": "with_values",
    "trimtab._plan_aio": "trimtab._plan",
    "trimtab.aio": "trimtab.client",
}
DOCSTRINGS = {
    "trimtab/_connection_aio.py": (
        '"""Requests of the asyncio client: ',
        '"""Requests of the blocking client: ',
    ),
    "trimtab/aio.py": (
        '"""The asyncio client: send jobs, watch them, fetch their results and files.\n\n'
        "`client.py` is its blocking twin, generated from this file by "
        "`deploy/tools/unasync.py`.\n",
        '"""The blocking client: send jobs, watch them, fetch their results and files.\n\n'
        "`aio.py` is its asyncio twin.\n",
    ),
    "trimtab/_plan_aio.py": (
        '"""The asyncio handle of a plan: its outline, edits, answers, approval and report.\n\n'
        "`_plan.py` is its blocking twin, generated from this file by "
        "`deploy/tools/unasync.py`.\n",
        '"""The blocking handle of a plan: its outline, edits, answers, approval and report.\n\n'
        "`_plan_aio.py` is its asyncio twin.\n",
    ),
}
SENTENCES = {
    "One event loop, any number of tasks.": "Any number of threads may share it.",
}


def main() -> None:
    """Write the generated files, or check them."""
    parser = argparse.ArgumentParser(description="Generate the blocking client")
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    stale = []
    for source, target in PAIRS:
        text, path = generated(source, target), ROOT / target
        if path.exists() and path.read_text() == text:
            continue
        stale.append(target)
        if not check:
            path.write_text(text)
    if check and stale:
        sys.exit(f"stale: {', '.join(stale)}; run make generate")


def generated(source: str, target: str) -> str:
    """Return the text of a generated file."""
    text = (ROOT / source).read_text()
    properties = [
        (f"    async def {name}(self)", f"    @property\n    def {name}(self)")
        for name in PROPERTIES[source]
    ]
    for before, after in (DOCSTRINGS[source], *properties, *SENTENCES.items()):
        text = text.replace(before, after)
    text = re.sub(r"\b(async|await) ", "", text)
    names = "|".join(map(re.escape, WORDS))
    text = re.sub(rf"(?<!\w)({names})(?!\w)", lambda match: WORDS[match[1]], text)
    text = HEADER.format(source=source) + text
    # Import order, and `yield from` (UP028), which asynchronous generators do not have.
    fixes = ("--fix", "--unsafe-fixes", "--select", "I,UP028")
    text = _ruff(text, target, "check", "--quiet", *fixes)
    return _ruff(text, target, "format", "--quiet")


def _ruff(text: str, name: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", name, "-"]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


if __name__ == "__main__":
    main()
