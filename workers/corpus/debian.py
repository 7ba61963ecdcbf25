"""C modules out of Debian source packages, fetched by apt into a folder of their own, split by package.

The package index is the machine's own: its `deb` entries, asked for sources. Nothing of the system's apt is touched.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm.frontend import SourceError, compile_to_bitcode
from solvers.llvm.types import Target
from workers.corpus.packages import PACKAGES

_UPDATE_S, _FETCH_S, _COMPILE_S = 180.0, 300.0, 30.0
_MOST_BYTES = 200 * 2**20  # of an unpacked package
_MOST_INCLUDES = 40


class CorpusMissing(Exception):
    """Sources cannot be had here. The message says what was tried and what would help."""


@dataclass(frozen=True, kw_only=True)
class Module:
    """One compiled file."""

    package: str
    split: str
    name: str  # path of the source below its package
    bitcode: bytes


def fetch(name: str, folder: Path) -> Path:
    """Folder of the unpacked sources of a package; fetched once. Raises CorpusMissing."""
    unpacked = folder / "sources" / name
    if (unpacked / ".whole").is_file():
        return _top(unpacked)
    archive = _download(name, folder)
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        members = [member for member in tar if member.isfile() or member.isdir()]
        if sum(member.size for member in members) > _MOST_BYTES:
            raise CorpusMissing(f"{name}: {archive.name} holds more than {_MOST_BYTES:,} bytes")
        tar.extractall(unpacked, members=members, filter="data")
    (unpacked / ".whole").touch()
    return _top(unpacked)


def modules(name: str, folder: Path, target: Target) -> Iterator[Module]:
    """Every file of the package that compiles by itself. Raises CorpusMissing when the package cannot be fetched."""
    package, root = PACKAGES[name], fetch(name, folder)
    include = _header_folders(root, package.without)
    for other in package.needs:
        include += _header_folders(fetch(other, folder), r"(?!)")
    headers = dict(package.headers) | {path: (root / source).read_text() for path, source in package.copies.items()}
    if headers:
        include.append(_written(folder / "headers" / name, headers))
    pattern = re.compile(package.files)
    for path in sorted(root.rglob("*.c")):
        inside = path.relative_to(root).as_posix()
        if not pattern.fullmatch(inside):
            continue
        try:
            (bitcode,) = compile_to_bitcode(
                [path],
                workdir=folder / "compile",
                root=root,
                target=target,
                flags=("-w", *package.flags),
                include_last=include,
                timeout_s=_COMPILE_S,
            )
        except SourceError:
            continue  # wants a configured build: not every file stands alone
        yield Module(package=name, split=package.split, name=inside, bitcode=bitcode)


def _header_folders(root: Path, without: str) -> list[Path]:
    """Folders with headers, and those above them (`#include <ogg/ogg.h>` is found from include/), the shallowest first."""
    refused = re.compile(without)
    holding = {header.parent for header in root.rglob("*.h")}
    holding |= {folder.parent for folder in holding if folder != root}
    kept = [folder for folder in holding if not refused.fullmatch(folder.relative_to(root).as_posix())]
    return sorted(kept, key=lambda folder: (len(folder.parts), folder))[:_MOST_INCLUDES]


def _written(folder: Path, headers: Mapping[str, str]) -> Path:
    for name, text in headers.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _top(unpacked: Path) -> Path:
    """The one folder most archives hold."""
    inside = [path for path in unpacked.iterdir() if path.name != ".whole"]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else unpacked


def _download(name: str, folder: Path) -> Path:
    if shutil.which("apt-get") is None:
        raise CorpusMissing("apt-get is not here: the corpus comes out of Debian's source packages")
    options, place = _private_apt(folder)
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["apt-get", *options, "-qq", "source", "--download-only", name],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=_FETCH_S,
        check=False,
    )
    found = sorted(path for path in place.glob("*.orig.tar.*") if not path.name.endswith(".asc"))
    ours = [path for path in found if path.name.startswith(f"{name}_")]
    if done.returncode != 0 or not ours:
        raise CorpusMissing(f"apt-get source {name} brought nothing: {done.stderr.strip()[-500:]}")
    return ours[0]


def _private_apt(folder: Path) -> tuple[list[str], Path]:
    """apt's options for a state of our own, updated once."""
    apt = (folder / "apt").resolve()
    for part in ("state/lists/partial", "cache/archives/partial", "etc"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    sources = apt / "etc" / "src.list"
    options = [f"-oDir::State={apt}/state", f"-oDir::Cache={apt}/cache", f"-oDir::Etc::sourcelist={sources}"]
    options += ["-oDir::Etc::sourceparts=/dev/null", "-oAPT::Sandbox::User=root"]
    if not (apt / ".updated").is_file():
        sources.write_text("\n".join(_source_lines()) + "\n")
        done = subprocess.run(
            ["apt-get", *options, "-qq", "update"], capture_output=True, text=True, timeout=_UPDATE_S, check=False
        )
        if done.returncode != 0:
            raise CorpusMissing(f"apt-get update for sources failed: {done.stderr.strip()[-500:]}")
        (apt / ".updated").touch()
    return options, apt / "fetched"


def _source_lines() -> list[str]:
    """The machine's `deb` entries, asked for sources instead. Both of apt's formats are read."""
    lines = []
    etc = Path("/etc/apt")
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        text = path.read_text() if path.is_file() else ""
        lines += ["deb-src " + line[4:] for line in text.splitlines() if line.startswith("deb ")]
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^(URIs|Suites|Components|Signed-By):\s*(.+)$", stanza, re.MULTILINE))
            key = f"[signed-by={fields['Signed-By']}] " if "Signed-By" in fields else ""
            for uri in fields.get("URIs", "").split():
                lines += [
                    f"deb-src {key}{uri} {suite} {fields.get('Components', 'main')}"
                    for suite in fields.get("Suites", "").split()
                ]
    # Mirrors drop security uploads that a newer one replaced; the stable suite's sources stay.
    lines = [line for line in lines if "-security" not in line]
    if not lines:
        raise CorpusMissing("this machine's apt has no `deb` entry to ask for sources")
    return list(dict.fromkeys(lines))
