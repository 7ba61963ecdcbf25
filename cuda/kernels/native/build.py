"""Build the native library at first use and keep it in the user's cache folder.

One source is compiled once for each instruction set (a *tier*), and the library chooses among them
when it is loaded, so that a cache folder may be shared by machines with different CPUs. Nothing is
compiled for the building machine itself (`-march=native`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
BUILD_S = 300.0
"""Longest wait for one run of a compiler."""

# No -ffast-math: infinities and NaN have to survive.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-exceptions",
    "-fno-rtti",
    "-fvisibility=hidden",
    "-Wno-psabi",
)
_AVX2 = ("-mavx2", "-mfma", "-mf16c")
_AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni")
_X86_TIERS = {
    "generic": (),
    "avx2": _AVX2,
    "avx512": (*_AVX2, *_AVX512, "-mprefer-vector-width=512"),
}
# 64-bit Arm has vectors of four floats without any flag.
_OTHER_TIERS: dict[str, tuple[str, ...]] = {"generic": ()}


def tiers(machine: str) -> dict[str, tuple[str, ...]]:
    """Return the flags of each tier for a machine as `platform.machine` names it."""
    return _X86_TIERS if machine in ("x86_64", "AMD64") else _OTHER_TIERS


def built_library(
    *, folder: Path | None = None, compilers: Sequence[Sequence[str]] | None = None
) -> Path:
    """Return the shared library; build it when the cache lacks it.

    A library that another compiler built from the same sources serves where none is installed.

    Args:
        folder: cache folder, by default `cache_folder()`.
        compilers: commands in order of preference, by default those of this machine.

    Raises:
        OSError: no compiler works, or no folder is private and writable.
    """
    folder = cache_folder() if folder is None else folder
    compilers = installed_compilers() if compilers is None else compilers
    stem = (
        f"kernels-{_digest(*_sources(), platform.machine(), str(FLAGS), str(_X86_TIERS))}"
    )
    failures = []
    for compiler in compilers:
        path = folder / f"{stem}-{_digest(*compiler, _identity(compiler[0]))}.so"
        if _ours(path):
            return path
        try:
            with _only_builder(folder / f"{stem}.lock"):
                # Another process may have built it while this one waited.
                if not _ours(path):
                    _build(compiler, path)
            return path
        except (OSError, subprocess.SubprocessError) as error:
            failures.append(f"{' '.join(compiler[:4])}: {_reason(error)}")
    for path in sorted(folder.glob(f"{stem}-*.so")):
        if _ours(path):
            return path
    raise OSError(
        f"native kernels: no C++ compiler built them; tried "
        f"{'; '.join(failures) or 'none, for none is installed'}; install g++ or clang++"
    )


def installed_compilers() -> list[tuple[str, ...]]:
    """Return the commands of the C++ compilers of this machine, that of ziglang last."""
    installed = [
        (path,) for name in ("c++", "g++", "clang++") if (path := shutil.which(name))
    ]
    # zig compiles for the building machine unless told otherwise; linking as C++ would build a
    # library of its own, which the kernels do not need.
    zig = (sys.executable, "-P", "-m", "ziglang", "cc", "-mcpu=baseline")
    return [*installed, zig]


def _build(compiler: Sequence[str], path: Path) -> None:
    """Compile every tier and link the library; it appears at `path` whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="kernels-", dir=path.parent) as scratch:
        environment = os.environ | {
            name: str(path.parent / "zig")
            for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")
        }
        objects = []
        jobs = {
            tier: ("tier.cpp", *flags, f"-DTIER={tier}")
            for tier, flags in tiers(platform.machine()).items()
        }
        for name, (source, *flags) in {**jobs, "dispatch": ("dispatch.cpp",)}.items():
            objects.append(str(Path(scratch, f"{name}.o")))
            _run([*compiler, *FLAGS, *flags, "-c", str(FOLDER / source), "-o", objects[-1]],
                 environment)  # fmt: skip
        part = Path(scratch, "kernels.so")
        _run([*compiler, "-shared", "-o", str(part), *objects, "-pthread"], environment)
        os.replace(part, path)


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    subprocess.run(
        command, capture_output=True, timeout=BUILD_S, env=environment, check=True
    )


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr.decode(errors="replace").strip()[-300:])
    return str(error)


@contextlib.contextmanager
def _only_builder(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cache_folder() -> Path:
    """Return the folder for built libraries, which only this user can write.

    Raises:
        OSError: there is none.
    """
    places = (
        os.environ.get("TRIMTAB_CACHE"),
        os.environ.get("XDG_CACHE_HOME"),
        os.path.expanduser("~/.cache"),
    )
    last = OSError(
        "no cache folder: set TRIMTAB_CACHE to a folder that only this user can write"
    )
    for place in filter(None, places):
        folder = Path(place) / "trimtab"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                raise OSError(f"{folder} can be written by other users; chmod 700 it")
            if os.access(folder, os.W_OK) or any(folder.glob("kernels-*.so")):
                return folder
        except OSError as error:
            last = error
    raise last


def _ours(path: Path) -> bool:
    return path.is_file() and path.stat().st_uid == os.getuid()


def _sources() -> list[bytes]:
    return [
        path.read_bytes()
        for path in sorted(FOLDER.iterdir())
        if path.suffix in (".cpp", ".h")
    ]


def _identity(program: str) -> str:
    try:
        status = Path(program).stat()
    except OSError:
        return program
    return f"{status.st_size} {status.st_mtime_ns}"


def _digest(*parts: str | bytes) -> str:
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    return hashlib.sha256(b"\0".join(encoded)).hexdigest()[:16]
