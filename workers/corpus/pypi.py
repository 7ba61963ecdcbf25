"""C modules of PyPI's source distributions, mostly CPython extensions.

Each is fetched by pip at one version and one digest. They include the headers of the running
Python. Packages that carry sources of a held-out or val package (lz4, Brotli, uvloop) are not
taken.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm.types import Target
from workers.corpus.packages import Package
from workers.corpus.sources import CorpusMissing, Module, compiled, top, unpacked, whole

_FETCH_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Sdist:
    """One source distribution."""

    version: str
    sha256: str  # of the archive
    package: Package


def _of(
    version: str,
    sha256: str,
    files: str,
    *,
    split: str = "train",
    flags: tuple[str, ...] = (),
) -> Sdist:
    return Sdist(
        version=version,
        sha256=sha256,
        package=Package(split=split, files=files, flags=flags),
    )


SDISTS: Mapping[str, Sdist] = {
    "bitarray": _of(
        "3.0.0",
        "a2083dc20f0d828a7cdf7a16b20dae56aab0f43dc4f347a3b3039f6577992b03",
        r"bitarray/_\w+\.c",
    ),
    "ciso8601": _of(
        "2.3.2",
        "ec1616969aa46c51310b196022e5d3926f8d3fa52b80ec17f6b4133623bd5434",
        r"\w+\.c",
        split="val",
        flags=('-DCISO8601_VERSION="2.3.2"', "-DCISO8601_CACHING_ENABLED=1"),
    ),
    "crc32c": _of(
        "2.7.1",
        "f91b144a21eef834d64178e01982bb9179c354b3e9e5f4c803b0e5096384968c",
        r"src/crc32c/ext/\w+\.c",
    ),
    "httptools": _of(
        "0.6.4",
        "4e93eee4add6493b59a5c514da98c939b244fce4a0d8879cd3f466562f4b7d5c",
        r"vendor/llhttp/src/\w+\.c",
    ),
    "lru-dict": _of(
        "1.3.0",
        "54fd1966d6bd1fcde781596cb86068214edeebff1db13a2cea11079e3fd07b6b",
        r"src/lru/_lru\.c",
        split="val",
    ),
    "markupsafe": _of(
        "3.0.2",
        "ee55d3edf80167e48ea11a923c7386f4669df67d7994554387f84e7d8b0a2bf0",
        r"src/markupsafe/\w+\.c",
        split="val",
    ),
    "mmh3": _of(
        "5.1.0",
        "136e1e670500f177f49ec106a4ebf0adf20d18d96990cc36ea492c651d2b406c",
        r"src/mmh3/\w+\.c",
    ),
    "multidict": _of(
        "6.1.0",
        "22ae2ebf9b0c69d206c003e2f6a914ea33f0a932d4aa16f236afc049d9958f4a",
        r"multidict/\w+\.c",
    ),
    "psutil": _of(
        "6.1.1",
        "cf8496728c18f2d0b45198f06895be52f36611711746b7f30c464b422b50e2f5",
        r"psutil/(_psutil_(common|linux|posix)|arch/linux/\w+)\.c",
        flags=(
            "-DPSUTIL_POSIX=1",
            "-DPSUTIL_LINUX=1",
            "-DPSUTIL_VERSION=611",
            "-DPSUTIL_SIZEOF_PID_T=4",
            "-D_GNU_SOURCE",
        ),
    ),
    "pyahocorasick": _of(
        "2.1.0",
        "4df4845c1149e9fa4aa33f0f0aa35f5a42957a43a3d6e447c9b44e679e2672ea",
        r"src/pyahocorasick\.c",
        flags=("-DAHOCORASICK_UNICODE=1",),
    ),
    "setproctitle": _of(
        "1.3.4",
        "3b40d32a3e1f04e94231ed6dfee0da9e43b4f9c6b5450d53e6dd7754c34e0c50",
        r"src/\w+\.c",
        flags=("-D_GNU_SOURCE", "-DHAVE_SYS_PRCTL_H", '-DSPT_VERSION="1.3.4"'),
    ),
    "simplejson": _of(
        "3.20.1",
        "e64139b4ec4f1f24c142ff7dcafe55a22b811a74d86d66560c8815687143037d",
        r"simplejson/_speedups\.c",
    ),
    "wrapt": _of(
        "1.17.2",
        "41388e9d4d1522446fe79d3213196bd9e3b301a336965b9e27ca2788ebd122f3",
        r"src/wrapt/\w+\.c",
    ),
}


def fetch(name: str, folder: Path) -> Path:
    """Return the folder of the unpacked sources; fetches once. Raises CorpusMissing."""
    place = folder / "sources" / f"pypi-{name}"
    if whole(place):
        return top(place)
    return unpacked(_download(name, SDISTS[name], folder / "pypi"), place)


def modules(name: str, folder: Path, target: Target) -> Iterator[Module]:
    """Yield every file of the distribution that compiles by itself. Raises CorpusMissing."""
    include = [Path(sysconfig.get_path("include"))]
    configured = Path(sysconfig.get_config_h_filename()).parent
    include += [configured] if configured not in include else []
    if not (include[0] / "Python.h").is_file():
        raise CorpusMissing(
            f"{include[0]}: no Python.h; on Debian: apt-get install python3-dev"
        )
    root = fetch(name, folder)
    yield from compiled(
        name, SDISTS[name].package, root, folder=folder, target=target, include=include
    )


def _download(name: str, sdist: Sdist, place: Path) -> Path:
    """Download by pip, which checks the digest but runs the archive's setup.py for its name."""
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.txt").write_text(
        f"{name}=={sdist.version} --hash=sha256:{sdist.sha256}\n"
    )
    options = [
        "--no-deps",
        "--no-binary",
        ":all:",
        "--no-build-isolation",
        "--require-hashes",
    ]
    messages = _pip(
        ["download", "--quiet", *options, "-r", f"{name}.txt", "-d", "."], place
    )
    for path in place.glob("*.tar.gz"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == sdist.sha256:
            return path
    raise CorpusMissing(
        f"pip download {name}=={sdist.version} wrote no archive: {messages.strip()[-300:]}"
    )


def _pip(arguments: list[str], place: Path) -> str:
    """Run pip; return its standard error."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=place,
            capture_output=True,
            text=True,
            timeout=_FETCH_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"pip did not end within {_FETCH_S:g} s"
    return done.stderr
