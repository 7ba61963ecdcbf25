"""`python -m workers.corpus`: modules/<sha16>.bc and modules.jsonl, resumable; packages that are there already are skipped."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from solvers.llvm.engine import Engine
from solvers.llvm.types import BadModule, Target
from workers.corpus import debian
from workers.corpus.packages import PACKAGES

LEAST, MOST = 100, 10_000  # instructions of a module, as the paper's training sets
PER_PACKAGE = 12  # so that no package dominates


def build(folder: Path, *, packages: tuple[str, ...], per_package: int, say: Callable[[str], None]) -> None:
    """Fill the corpus folder."""
    (folder / "modules").mkdir(parents=True, exist_ok=True)
    listing = folder / "modules.jsonl"
    rows = read(folder)
    seen = {str(row["sha"]) for row in rows}
    done = {str(row["package"]) for row in rows}
    for name in packages:
        if name in done:
            continue
        try:
            found = [row for module in debian.modules(name, folder, Target()) if (row := _row(module)) is not None]
        except debian.CorpusMissing as error:
            say(f"{name}: left out: {error}")
            continue
        # Spread over the sizes that are there, not the first in the alphabet.
        found.sort(key=lambda pair: int(str(pair[0]["ir_instructions"])))
        step = max(1.0, len(found) / per_package)
        kept = [found[int(i * step)] for i in range(min(per_package, len(found)))]
        fresh = [(listed, bitcode) for listed, bitcode in kept if listed["sha"] not in seen]
        for listed, bitcode in fresh:
            (folder / "modules" / f"{str(listed['sha'])[:16]}.bc").write_bytes(bitcode)
        with listing.open("a") as out:
            out.writelines(json.dumps(listed) + "\n" for listed, _ in fresh)
        seen |= {str(listed["sha"]) for listed, _ in fresh}
        say(f"{name}: {len(fresh)} of {len(found)} modules")
    say(str(dict(Counter(str(row["split"]) for row in read(folder)))))


def read(folder: Path) -> list[dict[str, object]]:
    """Rows of modules.jsonl."""
    listing = folder / "modules.jsonl"
    return [json.loads(line) for line in listing.read_text().splitlines()] if listing.is_file() else []


def _row(module: debian.Module) -> tuple[dict[str, object], bytes] | None:
    try:
        with Engine(module.bitcode) as engine:
            count = engine.info.ir_instructions
    except BadModule:
        return None
    if not LEAST <= count <= MOST:
        return None
    row: dict[str, object] = {
        "sha": hashlib.sha256(module.bitcode).hexdigest(),
        "set": "debian",
        "package": module.package,
        "name": module.name,
        "split": module.split,
        "ir_instructions": count,
    }
    return row, module.bitcode


def main(argv: list[str] | None = None) -> int:
    """Build what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m workers.corpus", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-results/train/compile"))
    parser.add_argument("--packages", nargs="*", choices=sorted(PACKAGES), default=list(PACKAGES))
    parser.add_argument("--per-package", type=int, default=PER_PACKAGE)
    given = parser.parse_args(argv)

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    build(given.out, packages=tuple(given.packages), per_package=given.per_package, say=say)
    return 0
