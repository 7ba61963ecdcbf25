"""Choose and build the fastest walker of modules: `walk.c`, or else `walk_python`.

`walk.c` is built once with the C compiler of this machine and cached in the user's folder, under
the hash of its source and of the LLVM that it was built for. It links nothing: it receives the
addresses of LLVM's functions. Without a compiler or a cache folder the Python walker is used, which
is about twenty times slower; `native` tells them apart.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path

from solvers.llvm.vocabulary import OPCODE_ROOM, table
from solvers.llvm.walk_interface import ModuleHandle, Walked, Walker

SOURCE = Path(__file__).with_name("walk.c")
_BUILD_S = 60.0
_FLAGS = ("-O2", "-std=c11", "-shared", "-fPIC")


class NativeWalker:
    """`walk.c`, bound to one libLLVM."""

    native = True

    def __init__(self, built: Path, lib: ctypes.CDLL) -> None:
        """Load `built` and give it the functions of `lib`.

        Raises OSError when `built` cannot be loaded, AttributeError when `lib` lacks a function.
        """
        self._walk = ctypes.CDLL(str(built), mode=ctypes.DEFAULT_MODE)
        name = self._walk["walk_name"]
        name.restype, name.argtypes = ctypes.c_char_p, [ctypes.c_int]
        names: list[str] = []
        while (text := name(len(names))) is not None:
            names.append(text.decode())
        addresses = [
            ctypes.cast(getattr(lib, one), ctypes.c_void_p).value for one in names
        ]
        bind = self._walk["walk_bind"]
        bind.restype, bind.argtypes = None, [ctypes.c_void_p]
        bind((ctypes.c_void_p * len(names))(*addresses))
        self._graph = self._walk["walk_graph"]
        self._graph.argtypes = [ctypes.c_void_p] * 6
        self._free = self._walk["walk_free"]
        self._free.restype, self._free.argtypes = None, [ctypes.c_void_p]
        self._counts = self._walk["walk_counts"]
        self._counts.argtypes = [ctypes.c_void_p] * 3
        tokens = table()
        self._table = (ctypes.c_int32 * len(tokens))(*tokens)

    def graph(self, module: ModuleHandle) -> Walked:
        """Return the program graph. Raises MemoryError."""
        nodes, edges = ctypes.c_void_p(), ctypes.c_void_p()
        node_count, edge_count = ctypes.c_int64(), ctypes.c_int64()
        outputs = [ctypes.byref(one) for one in (nodes, node_count, edges, edge_count)]
        if self._graph(module.ref, self._table, *outputs):
            raise MemoryError("program graph: out of memory")
        try:
            return Walked(
                nodes=_copied(nodes, 5 * node_count.value),
                edges=_copied(edges, 4 * edge_count.value),
            )
        finally:
            self._free(nodes)
            self._free(edges)

    def counts(self, module: ModuleHandle) -> tuple[list[int], list[int]]:
        """Return the counts. Raises MemoryError."""
        counts = (ctypes.c_int64 * self._walk["walk_counts_size"]())()
        opcodes = (ctypes.c_int64 * OPCODE_ROOM)()
        if self._counts(module.ref, counts, opcodes):
            raise MemoryError("module counts: out of memory")
        return list(counts), list(opcodes)


def _copied(memory: ctypes.c_void_p, numbers: int) -> array[int]:
    rows = array("i")
    if memory.value and numbers:
        rows.frombytes(ctypes.string_at(memory.value, 4 * numbers))
    return rows


def walker_for(lib: ctypes.CDLL) -> Walker:
    """Return the fastest walker that this machine allows; cached in this process."""
    return _walker(lib._name, _Library(lib))


class _Library:
    """Carrier of libLLVM through a cache keyed by its name: all instances are equal."""

    def __init__(self, lib: ctypes.CDLL) -> None:
        self.lib = lib

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Library)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=4)
def _walker(name: str, library: _Library) -> Walker:
    with contextlib.suppress(OSError, AttributeError, subprocess.SubprocessError):
        return NativeWalker(built_walker(Path(name)), library.lib)
    from solvers.llvm.walk_python import PythonWalker

    return PythonWalker(library.lib)


def built_walker(
    library: Path,
    *,
    folder: Path | None = None,
    compilers: Sequence[Sequence[str]] | None = None,
) -> Path:
    """Return the shared object made of walk.c for `library`; build it when the cache lacks it.

    Raises OSError when no compiler works or no folder is both writable and private.
    """
    source = SOURCE.read_bytes()
    folder = folder or cache_folder()
    path = (
        folder
        / f"walk-{_digest(source, ' '.join(_FLAGS).encode(), _identity(library))}.so"
    )
    if path.is_file() and path.stat().st_uid == os.getuid():
        return path
    failures = []
    for compiler in _compilers() if compilers is None else compilers:
        part = Path(tempfile.mkstemp(prefix="walk-", suffix=".part.so", dir=folder)[1])
        try:
            command = [*compiler, *_FLAGS, "-o", str(part), str(SOURCE)]
            environment = os.environ | {
                name: str(folder / "zig") for name in _ZIG_FOLDERS
            }
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=_BUILD_S,
                env=environment,
                check=False,
            )
            if done.returncode == 0:
                os.replace(part, path)  # atomic: other processes may build the same file
                return path
            message = done.stderr.decode(errors="replace").strip()[-300:]
            failures.append(f"{compiler[0]}: {message}")
        except (OSError, subprocess.TimeoutExpired) as error:
            failures.append(f"{compiler[0]}: {error}")
        finally:
            part.unlink(missing_ok=True)
    raise OSError(
        f"no C compiler built {SOURCE.name}: {'; '.join(failures) or 'none is installed'}"
    )


_ZIG_FOLDERS = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")


def _compilers() -> list[tuple[str, ...]]:
    installed = [
        (path,) for name in ("cc", "gcc", "clang") if (path := shutil.which(name))
    ]
    return [*installed, (sys.executable, "-P", "-m", "ziglang", "cc")]


def cache_folder() -> Path:
    """Return the cache folder, which only this user can write: libraries are loaded from it.

    Raises OSError when there is none.
    """
    places = [
        os.environ.get("TRIMTAB_CACHE"),
        os.environ.get("XDG_CACHE_HOME"),
        os.path.expanduser("~/.cache"),
    ]
    last = OSError(
        "no cache folder: set TRIMTAB_CACHE to a folder that only this user can write"
    )
    for place in places:
        if not place:
            continue
        folder = Path(place) / "trimtab"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                raise OSError(f"{folder} can be written by other users; chmod 700 it")
            if any(folder.glob("walk-*.so")) or os.access(folder, os.W_OK):
                return folder
        except OSError as error:
            last = error
    raise last


def _identity(library: Path) -> bytes:
    try:
        status = library.stat()
    except OSError:  # a name for the loader, such as "libLLVM.so.22.1"
        return library.name.encode()
    return f"{library.name} {status.st_size} {status.st_mtime_ns}".encode()


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
