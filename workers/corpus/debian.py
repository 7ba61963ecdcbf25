"""C modules of Debian source packages, fetched by apt into a folder of their own, split by package.

The package index is the machine's own: its `deb` entries, read as sources. The system's apt state
is not touched.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from solvers.llvm.types import Target
from workers.corpus.packages import PACKAGES
from workers.corpus.sources import (
    CorpusMissing,
    Module,
    compiled,
    header_folders,
    top,
    unpacked,
    whole,
)

_UPDATE_S, _FETCH_S = 180.0, 300.0


def fetch(name: str, folder: Path) -> Path:
    """Return the folder of the unpacked sources of a package; fetches once.

    Raises CorpusMissing.
    """
    place = folder / "sources" / name
    return top(place) if whole(place) else unpacked(_download(name, folder), place)


def modules(name: str, folder: Path, target: Target) -> Iterator[Module]:
    """Yield every file of the package that compiles by itself.

    Raises CorpusMissing when the package cannot be fetched.
    """
    package, root = PACKAGES[name], fetch(name, folder)
    others = [
        headers
        for other in package.needs
        for headers in header_folders(fetch(other, folder))
    ]
    yield from compiled(name, package, root, folder=folder, target=target, include=others)


def _download(name: str, folder: Path) -> Path:
    if shutil.which("apt-get") is None:
        raise CorpusMissing(
            "apt-get: not found; the corpus is made of Debian's source packages"
        )
    options, place = _private_apt(folder)
    place.mkdir(parents=True, exist_ok=True)
    # Without Debian's patches, which mirrors drop first for replaced versions.
    done = subprocess.run(
        ["apt-get", *options, "-qq", "source", "--download-only", "--tar-only", name],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=_FETCH_S,
        check=False,
    )
    archives = sorted(
        path for path in place.glob("*.orig.tar.*") if not path.name.endswith(".asc")
    )
    ours = [path for path in archives if path.name.startswith(f"{name}_")]
    if done.returncode != 0 or not ours:
        raise CorpusMissing(
            f"apt-get source {name}: no archive: {done.stderr.strip()[-500:]}"
        )
    return ours[0]


def _private_apt(folder: Path) -> tuple[list[str], Path]:
    """Return apt's options for a private state, updated once, and the folder of its downloads."""
    apt = (folder / "apt").resolve()
    for part in ("state/lists/partial", "cache/archives/partial", "etc"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    sources = apt / "etc" / "src.list"
    options = [
        f"-oDir::State={apt}/state",
        f"-oDir::Cache={apt}/cache",
        f"-oDir::Etc::sourcelist={sources}",
    ]
    options += ["-oDir::Etc::sourceparts=/dev/null", "-oAPT::Sandbox::User=root"]
    if not (apt / ".updated").is_file():
        sources.write_text("\n".join(_source_lines()) + "\n")
        done = subprocess.run(
            ["apt-get", *options, "-qq", "update"],
            capture_output=True,
            text=True,
            timeout=_UPDATE_S,
            check=False,
        )
        if done.returncode != 0:
            raise CorpusMissing(
                f"apt-get update for sources failed: {done.stderr.strip()[-500:]}"
            )
        (apt / ".updated").touch()
    return options, apt / "fetched"


def _source_lines() -> list[str]:
    """Return the machine's `deb` entries as source entries. Both of apt's formats are read."""
    lines = []
    etc = Path("/etc/apt")
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        text = path.read_text() if path.is_file() else ""
        lines += [
            "deb-src " + line[4:] for line in text.splitlines() if line.startswith("deb ")
        ]
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(
                re.findall(
                    r"^(URIs|Suites|Components|Signed-By):\s*(.+)$", stanza, re.MULTILINE
                )
            )
            key = f"[signed-by={fields['Signed-By']}] " if "Signed-By" in fields else ""
            for uri in fields.get("URIs", "").split():
                lines += [
                    f"deb-src {key}{uri} {suite} {fields.get('Components', 'main')}"
                    for suite in fields.get("Suites", "").split()
                ]
    # Mirrors drop security uploads that a newer one replaced; the stable suite's sources stay.
    lines = [line for line in lines if "-security" not in line]
    if not lines:
        raise CorpusMissing("/etc/apt: expected a `deb` entry, got none")
    return list(dict.fromkeys(lines))
