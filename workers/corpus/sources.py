"""Steps that Debian's packages and PyPI's source distributions share: unpack and compile."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm.frontend import (
    C_SUFFIXES,
    CXX_SUFFIXES,
    Control,
    SourceError,
    SourceTree,
    compile_to_bitcode,
)
from solvers.llvm.types import Target
from workers.corpus.packages import Package

_COMPILE_S = 30.0
_MOST_BYTES = 200 * 2**20  # of an unpacked package
_MOST_INCLUDES = 40
NO_FOLDER = r"(?!)"


class CorpusMissing(Exception):
    """Sources are not available; the message has the cause and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Module:
    """One compiled file."""

    package: str
    split: str
    name: str  # path of the source below its package
    bitcode: bytes


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack an archive into `folder`, made anew; return its top folder. Raises CorpusMissing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        members = [member for member in tar if member.isfile() or member.isdir()]
        if sum(member.size for member in members) > _MOST_BYTES:
            raise CorpusMissing(
                f"{archive.name}: expected at most {_MOST_BYTES:,} bytes unpacked, got more"
            )
        tar.extractall(folder, members=members, filter="data")
    (folder / ".whole").touch()
    return top(folder)


def whole(folder: Path) -> bool:
    """Return whether the archive was unpacked there to its end."""
    return (folder / ".whole").is_file()


def top(folder: Path) -> Path:
    """Return the one folder that most archives hold, else `folder`."""
    inside = [path for path in folder.iterdir() if path.name != ".whole"]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def compiled(
    name: str,
    package: Package,
    root: Path,
    *,
    folder: Path,
    target: Target,
    include: Sequence[Path] = (),
) -> Iterator[Module]:
    """Yield every file of the package in `root` that compiles by itself.

    include: folders of headers beyond the package's own.
    """
    headers = dict(package.headers) | {
        path: (root / source).read_text() for path, source in package.copies.items()
    }
    folders = [*header_folders(root, package.without), *include]
    if headers:
        folders.append(_written(folder / "headers" / name, headers))
    pattern = re.compile(package.files)
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root).as_posix()
        if path.suffix not in (*C_SUFFIXES, *CXX_SUFFIXES) or not pattern.fullmatch(
            inside
        ):
            continue
        try:
            (bitcode,) = compile_to_bitcode(
                [path],
                workdir=folder / "compile",
                target=target,
                flags=("-w", *package.flags),
                tree=SourceTree(root=root, include_last=folders),
                control=Control(timeout_s=_COMPILE_S),
            )
        except SourceError:
            continue  # it needs a configured build or another system
        yield Module(package=name, split=package.split, name=inside, bitcode=bitcode)


def header_folders(root: Path, without: str = NO_FOLDER) -> list[Path]:
    """Return folders with headers and their parents, the shallowest first.

    Parents serve includes such as `#include <ogg/ogg.h>`, found from include/.
    """
    refused = re.compile(without)
    holding = {header.parent for header in root.rglob("*.h")}
    holding |= {folder.parent for folder in holding if folder != root}
    admitted = [
        folder
        for folder in holding
        if not refused.fullmatch(folder.relative_to(root).as_posix())
    ]
    return sorted(admitted, key=lambda folder: (len(folder.parts), folder))[
        :_MOST_INCLUDES
    ]


def _written(folder: Path, headers: Mapping[str, str]) -> Path:
    for name, text in headers.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
