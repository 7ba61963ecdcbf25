"""`python -m workers.corpus`: modules/<sha16>.bc and modules.jsonl, resumable; packages that are there already are skipped."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from solvers.llvm.engine import Engine
from solvers.llvm.types import BadModule, Target
from workers.corpus import debian, programs
from workers.corpus.packages import PACKAGES

LEAST, MOST = 100, 10_000  # instructions of a module, as the paper's training sets
PER_PACKAGE = 12  # so that no package dominates


def build(
    folder: Path,
    *,
    packages: tuple[str, ...],
    per_package: int,
    say: Callable[[str], None],
    generated: Mapping[str, int] = {},  # read only
) -> None:
    """Fill the corpus folder. generated: set of programs ("generated", "csmith") → how many."""
    (folder / "modules").mkdir(parents=True, exist_ok=True)
    done = {str(row["package"]) for row in read(folder)}
    for name in packages:
        if name in done:
            continue
        try:
            compiled = list(debian.modules(name, folder, Target()))
        except debian.CorpusMissing as error:
            say(f"{name}: left out: {error}")
            continue
        found = [
            (_row(m.bitcode, package=m.package, name=m.name, split=m.split, origin="debian"), m.bitcode)
            for m in compiled
        ]
        _add(folder, name, found, per_package, say)
    for name, count in generated.items():
        if name in done or count < 1:
            continue
        try:
            made = list(programs.modules(name, count, folder))
        except debian.CorpusMissing as error:
            say(f"{name}: left out: {error}")
            continue
        found = [
            (_row(code, package=p.set, name=f"{p.set}-{p.seed}", split=p.split, origin=p.set), code) for p, code in made
        ]
        _add(folder, name, found, count, say)
    say(str(dict(Counter(str(row["split"]) for row in read(folder)))))


def _add(
    folder: Path, name: str, found: list[tuple[dict[str, object] | None, bytes]], most: int, say: Callable[[str], None]
) -> None:
    """At most `most` of those that are of a size to learn from, spread over the sizes, not the first in the alphabet."""
    fit = [(row, bitcode) for row, bitcode in found if row is not None]
    fit.sort(key=lambda pair: int(str(pair[0]["ir_instructions"])))
    step = max(1.0, len(fit) / most)
    seen = {str(row["sha"]) for row in read(folder)}
    fresh = [pair for i in range(min(most, len(fit))) if (pair := fit[int(i * step)])[0]["sha"] not in seen]
    for row, bitcode in fresh:
        (folder / "modules" / f"{str(row['sha'])[:16]}.bc").write_bytes(bitcode)
    with (folder / "modules.jsonl").open("a") as out:
        out.writelines(json.dumps(row) + "\n" for row, _ in fresh)
    say(f"{name}: {len(fresh)} of {len(fit)} modules")


def read(folder: Path) -> list[dict[str, object]]:
    """Rows of modules.jsonl."""
    listing = folder / "modules.jsonl"
    return [json.loads(line) for line in listing.read_text().splitlines()] if listing.is_file() else []


def _row(bitcode: bytes, *, package: str, name: str, split: str, origin: str) -> dict[str, object] | None:
    """What is listed of a module; None when LLVM does not read it, or it is too small or too large to learn from."""
    try:
        with Engine(bitcode) as engine:
            count = engine.info.ir_instructions
    except BadModule:
        return None
    if not LEAST <= count <= MOST:
        return None
    return {
        "sha": hashlib.sha256(bitcode).hexdigest(),
        "set": origin,
        "package": package,
        "name": name,
        "split": split,
        "ir_instructions": count,
    }


def main(argv: list[str] | None = None) -> int:
    """Build what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m workers.corpus", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-results/train/compile"))
    parser.add_argument("--packages", nargs="*", choices=sorted(PACKAGES), default=list(PACKAGES))
    parser.add_argument("--per-package", type=int, default=PER_PACKAGE)
    parser.add_argument("--generated", type=int, default=40, help="training programs of our own generator")
    parser.add_argument("--csmith", type=int, default=20, help="training programs of csmith")
    given = parser.parse_args(argv)

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    counts = {"generated": given.generated, "csmith": given.csmith}
    build(given.out, packages=tuple(given.packages), per_package=given.per_package, say=say, generated=counts)
    return 0
