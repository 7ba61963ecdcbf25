"""`python -m workers.corpus`: fill modules/<sha16>.bc and modules.jsonl; resumes.

Packages that are listed already are skipped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from solvers.llvm.engine import Engine
from solvers.llvm.types import BadModule, Target
from workers.corpus import debian, programs, pypi
from workers.corpus.packages import PACKAGES
from workers.corpus.sources import CorpusMissing

LEAST, MOST = 100, 10_000  # instructions of a module, as the paper's training sets
MOST_OF_A_PROGRAM = 6_000  # of a program made by seed
PER_PACKAGE = 12  # so that no package dominates
_TRIES = 4  # seeds for each program of fitting size
Say = Callable[[str], None]
Entry = tuple[dict[str, object], bytes]  # row of modules.jsonl, bitcode


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Number of programs made by seed, on each side of the split."""

    train: int  # the first of fitting size from seed 1 on
    heldout: int  # from seed 1000 on


def build(
    folder: Path,
    *,
    packages: tuple[str, ...],
    per_package: int,
    say: Say,
    sdists: tuple[str, ...] = (),
    seeds: Mapping[str, Seeds] = MappingProxyType({}),
) -> None:
    """Fill the corpus folder; parts that it has are not made again.

    packages: Debian's; sdists: PyPI's; seeds: of the sets "generated" and "csmith".
    """
    (folder / "modules").mkdir(parents=True, exist_ok=True)
    done = {(str(row["package"]), str(row["split"])) for row in read(folder)}
    names_done = {package for package, _ in done}
    for origin, names in (("debian", packages), ("pypi", sdists)):
        for name in names:
            if name not in names_done:
                _add_package(folder, origin, name, per_package, say)
    for name, counts in seeds.items():
        train = range(1, programs.LAST_OF_TRAINING + 1)[: _TRIES * counts.train]
        heldout = range(programs.FIRST_HELD_OUT, 2**31)[: _TRIES * counts.heldout]
        for split, few, count in (
            ("train", train, counts.train),
            ("heldout", heldout, counts.heldout),
        ):
            if (name, split) not in done and count > 0:
                _add_programs(folder, (name, split), few, count, say)
    say(str(dict(Counter(str(row["split"]) for row in read(folder)))))


def _add_package(folder: Path, origin: str, name: str, most: int, say: Say) -> None:
    """Compile a package of Debian or PyPI, and add its modules."""
    compiled = {"debian": debian.modules, "pypi": pypi.modules}[origin]
    entries: list[Entry] = []
    try:
        for m in compiled(name, folder, Target()):
            row = _row(
                m.bitcode, package=m.package, name=m.name, split=m.split, origin=origin
            )
            entries += [(row, m.bitcode)] if row is not None else []
    except CorpusMissing as error:
        say(f"{name}: left out: {error}")
        return
    _add(folder, name, entries, most, say)


def _add_programs(
    folder: Path, key: tuple[str, str], seeds: range, count: int, say: Say
) -> None:
    """Make programs of a (set, split) and add the first `count` of fitting size."""
    name, split = key
    entries: list[Entry] = []
    try:
        for program, code in programs.modules(name, seeds, folder):
            row = _row(
                code,
                package=program.set,
                name=f"{program.set}-{program.seed}",
                split=program.split,
                origin=program.set,
            )
            entries += [(row, code)] if row is not None else []
            if len(entries) == count:
                break
    except CorpusMissing as error:
        say(f"{name}: left out: {error}")
        return
    _add(folder, f"{name}, {split}", entries, count, say)


def _add(folder: Path, name: str, entries: list[Entry], most: int, say: Say) -> None:
    """Add at most `most` entries that are new, spread over the sizes."""
    fit = sorted(entries, key=lambda pair: int(str(pair[0]["ir_instructions"])))
    step = max(1.0, len(fit) / most)
    seen = {str(row["sha"]) for row in read(folder)}
    fresh = [
        pair
        for i in range(min(most, len(fit)))
        if (pair := fit[int(i * step)])[0]["sha"] not in seen
    ]
    for row, bitcode in fresh:
        (folder / "modules" / f"{str(row['sha'])[:16]}.bc").write_bytes(bitcode)
    with (folder / "modules.jsonl").open("a") as out:
        out.writelines(json.dumps(row) + "\n" for row, _ in fresh)
    say(f"{name}: {len(fresh)} of {len(fit)} modules")


def read(folder: Path) -> list[dict[str, object]]:
    """Return the rows of modules.jsonl."""
    listing = folder / "modules.jsonl"
    lines = listing.read_text().splitlines() if listing.is_file() else []
    return [json.loads(line) for line in lines]


def _row(
    bitcode: bytes, *, package: str, name: str, split: str, origin: str
) -> dict[str, object] | None:
    """Return the row of a module.

    None when LLVM does not read it, or when it is too small or too large to learn from.
    """
    try:
        with Engine(bitcode) as engine:
            count = engine.info.ir_instructions
    except BadModule:
        return None
    if (
        not LEAST
        <= count
        <= (MOST if origin in ("debian", "pypi") else MOST_OF_A_PROGRAM)
    ):
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
    """Build the parts that the options name."""
    parser = argparse.ArgumentParser(prog="python -m workers.corpus", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench-results/train/compile"))
    parser.add_argument(
        "--packages", nargs="*", choices=sorted(PACKAGES), default=list(PACKAGES)
    )
    parser.add_argument("--per-package", type=int, default=PER_PACKAGE)
    parser.add_argument(
        "--sdists", nargs="*", choices=sorted(pypi.SDISTS), default=list(pypi.SDISTS)
    )
    for name, train, heldout in (("generated", 40, 100), ("csmith", 20, 48)):
        parser.add_argument(
            f"--{name}",
            type=int,
            default=train,
            help=f"training programs of {name}: seeds from 1 on",
        )
        parser.add_argument(
            f"--{name}-heldout", type=int, default=heldout, help="seeds from 1000 on"
        )
    options = parser.parse_args(argv)

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    seeds = {
        "generated": Seeds(train=options.generated, heldout=options.generated_heldout),
        "csmith": Seeds(train=options.csmith, heldout=options.csmith_heldout),
    }
    build(
        options.out,
        packages=tuple(options.packages),
        sdists=tuple(options.sdists),
        per_package=options.per_package,
        seeds=seeds,
        say=say,
    )
    return 0
