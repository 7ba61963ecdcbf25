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

_UPDATE_S, _FETCH_S, _COMPILE_S = 180.0, 300.0, 30.0
_MOST_BYTES = 200 * 2**20  # of an unpacked package
_MOST_INCLUDES = 40


class CorpusMissing(Exception):
    """Sources cannot be had here. The message says what was tried and what would help."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A source package, which of its files compile by themselves, and on which side of the split it stands."""

    split: str  # train, val, heldout
    files: str  # pattern of paths below the package's folder
    flags: tuple[str, ...] = ()


# Held out, never trained or tuned on: those of the last block.
PACKAGES: Mapping[str, Package] = {
    "zlib": Package(split="train", files=r"[a-z0-9]+\.c"),
    "libpng1.6": Package(split="train", files=r"png\w*\.c"),
    "jansson": Package(split="train", files=r"src/\w+\.c"),
    "xxhash": Package(split="train", files=r"xxhash\.c|xxhsum\.c|cli/\w+\.c"),
    "libzstd": Package(split="train", files=r"lib/(common|compress|decompress|dictBuilder)/\w+\.c"),
    "lzo2": Package(split="train", files=r"(src|minilzo)/\w+\.c"),
    "libyaml": Package(
        split="train",
        files=r"src/\w+\.c",
        flags=(
            "-DYAML_VERSION_MAJOR=0",
            "-DYAML_VERSION_MINOR=2",
            "-DYAML_VERSION_PATCH=5",
            '-DYAML_VERSION_STRING="0.2.5"',
        ),
    ),
    "libevent": Package(split="train", files=r"\w+\.c"),
    "giflib": Package(split="train", files=r"\w+\.c"),
    "libtomcrypt": Package(split="train", files=r"src/(ciphers|hashes|encauth|mac|modes)/[\w/]+\.c"),
    "libtommath": Package(split="train", files=r"\w+\.c"),
    "opus": Package(
        split="train", files=r"(src|celt|silk)/\w+\.c", flags=("-DOPUS_BUILD", "-DUSE_ALLOCA", "-DFLOATING_POINT")
    ),
    "speex": Package(split="train", files=r"libspeex/\w+\.c", flags=("-DFLOATING_POINT", "-DUSE_ALLOCA", "-DEXPORT=")),
    "libogg": Package(split="train", files=r"src/\w+\.c"),
    "libvorbis": Package(split="train", files=r"lib/\w+\.c"),
    "expat": Package(
        split="val",
        files=r"expat/lib/\w+\.c|lib/\w+\.c",
        flags=(
            "-DXML_GE=1",
            "-DXML_DTD",
            "-DXML_NS",
            "-DXML_CONTEXT_BYTES=1024",
            "-DBYTEORDER=1234",
            "-DXML_POOR_ENTROPY",
        ),
    ),
    "libspng": Package(split="val", files=r"spng/\w+\.c"),
    "lua5.4": Package(split="heldout", files=r"src/l\w+\.c"),
    "bzip2": Package(split="heldout", files=r"[a-z0-9]+\.c"),
    "mbedtls": Package(split="heldout", files=r"library/\w+\.c"),
    "jq": Package(split="heldout", files=r"src/jv\w*\.c"),
    "cjson": Package(split="heldout", files=r"cJSON\w*\.c"),
    "lz4": Package(split="heldout", files=r"lib/\w+\.c"),
}


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
    include = sorted({header.parent for header in root.rglob("*.h")})[:_MOST_INCLUDES]
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
                include=include,
                timeout_s=_COMPILE_S,
            )
        except SourceError:
            continue  # wants a configured build: not every file stands alone
        yield Module(package=name, split=package.split, name=inside, bitcode=bitcode)


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
