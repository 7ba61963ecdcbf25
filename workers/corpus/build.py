"""`python -m workers.corpus`: modules/<sha16>.bc and modules.jsonl, resumable; packages that are there already are skipped."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm.engine import Engine
from solvers.llvm.types import BadModule, Target
from workers.corpus import debian, programs, pypi
from workers.corpus.packages import PACKAGES
from workers.corpus.sources import CorpusMissing

LEAST, MOST = 100, 10_000  # instructions of a module, as the paper's training sets
MOST_OF_A_PROGRAM = 6_000  # of one that is made up
PER_PACKAGE = 12  # so that no package dominates
_TRIES = 4  # seeds to a program of fitting size


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """How many programs of a set that is made by seed, on each side of the split."""

    train: int  # the first of fitting size from seed 1 on
    heldout: int  # from seed 1000 on


def build(
    folder: Path,
    *,
    packages: tuple[str, ...],
    per_package: int,
    say: Callable[[str], None],
    sdists: tuple[str, ...] = (),
    seeds: Mapping[str, Seeds] = {},  # read only
) -> None:
    """Fill the corpus folder. packages: Debian's; sdists: PyPI's; seeds: of the sets "generated" and "csmith"."""
    (folder / "modules").mkdir(parents=True, exist_ok=True)
    done = {(str(row["package"]), str(row["split"])) for row in read(folder)}
    for origin, names, compiled in (
        ("debian", packages, debian.modules),
        ("pypi", sdists, pypi.modules),
    ):
        for name in names:
            if any(package == name for package, _ in done):
                continue
            try:
                made = [
                    (
                        _row(
                            m.bitcode,
                            package=m.package,
                            name=m.name,
                            split=m.split,
                            origin=origin,
                        ),
                        m.bitcode,
                    )
                    for m in compiled(name, folder, Target())
                ]
            except CorpusMissing as error:
                say(f"{name}: left out: {error}")
                continue
            _add(folder, name, made, per_package, say)
    for name, wanted in seeds.items():
        trained = range(1, programs.LAST_OF_TRAINING + 1)[: _TRIES * wanted.train]
        held = range(
            programs.FIRST_HELD_OUT, programs.FIRST_HELD_OUT + _TRIES * wanted.heldout
        )
        for split, few, count in (
            ("train", trained, wanted.train),
            ("heldout", held, wanted.heldout),
        ):
            if (name, split) in done or count < 1:
                continue
            found: list[tuple[dict[str, object] | None, bytes]] = []
            try:
                for p, code in programs.modules(name, few, folder):
                    row = _row(
                        code,
                        package=p.set,
                        name=f"{p.set}-{p.seed}",
                        split=p.split,
                        origin=p.set,
                    )
                    found += [(row, code)] if row is not None else []
                    if len(found) == count:
                        break
            except CorpusMissing as error:
                say(f"{name}: left out: {error}")
                continue
            _add(folder, f"{name}, {split}", found, count, say)
    say(str(dict(Counter(str(row["split"]) for row in read(folder)))))


def _add(
    folder: Path,
    name: str,
    found: list[tuple[dict[str, object] | None, bytes]],
    most: int,
    say: Callable[[str], None],
) -> None:
    """At most `most` of those that are of a size to learn from, spread over the sizes, not the first in the alphabet."""
    fit = [(row, bitcode) for row, bitcode in found if row is not None]
    fit.sort(key=lambda pair: int(str(pair[0]["ir_instructions"])))
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
    """Rows of modules.jsonl."""
    listing = folder / "modules.jsonl"
    return (
        [json.loads(line) for line in listing.read_text().splitlines()]
        if listing.is_file()
        else []
    )


def _row(
    bitcode: bytes, *, package: str, name: str, split: str, origin: str
) -> dict[str, object] | None:
    """What is listed of a module; None when LLVM does not read it, or it is too small or too large to learn from."""
    try:
        with Engine(bitcode) as engine:
            count = engine.info.ir_instructions
    except BadModule:
        return None
    if not LEAST <= count <= (MOST if origin in ("debian", "pypi") else MOST_OF_A_PROGRAM):
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
    given = parser.parse_args(argv)

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    seeds = {
        "generated": Seeds(train=given.generated, heldout=given.generated_heldout),
        "csmith": Seeds(train=given.csmith, heldout=given.csmith_heldout),
    }
    build(
        given.out,
        packages=tuple(given.packages),
        sdists=tuple(given.sdists),
        per_package=given.per_package,
        seeds=seeds,
        say=say,
    )
    return 0
