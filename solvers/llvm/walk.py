"""Two walkers of a module with one interface: `walk.c`, built once with the C compiler that is there, and `walk_python`.

The built walker is kept in the user's cache folder under the hash of its source and of the LLVM it was built beside. It
links nothing: it is given the addresses of LLVM's functions. Without a compiler, or without a place to keep the result,
the Python walker serves, some twenty times slower; `native` says which one did.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from solvers.llvm.vocabulary import OPCODE_ROOM, table

SOURCE = Path(__file__).with_name("walk.c")
_BUILD_S = 60.0
_FLAGS = ("-O2", "-std=c11", "-shared", "-fPIC")


class Api(Protocol):
    """What is needed of the engine's C API."""

    @property
    def lib(self) -> ctypes.CDLL:
        """libLLVM."""


class ModuleHandle(Protocol):
    """What is needed of the engine's module. Its context must live as long as the walk."""

    @property
    def ref(self) -> int | None:
        """LLVMModuleRef."""

    @property
    def api(self) -> Api:
        """The C API it was made by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Walked:
    """Little-endian int32 rows."""

    nodes: array[int]  # 5 numbers a node, as NodeColumn
    edges: array[int]  # 4 numbers an edge, as EdgeColumn


class Walker(Protocol):
    """Walks modules."""

    native: bool

    def graph(self, module: ModuleHandle) -> Walked:
        """The program graph. Raises MemoryError."""

    def counts(self, module: ModuleHandle) -> tuple[list[int], list[int]]:
        """Counts in the order of `features.Count`, and instructions by LLVM-C opcode number. Raises MemoryError."""


class NativeWalker:
    """`walk.c`, bound to one libLLVM."""

    native = True

    def __init__(self, built: Path, lib: ctypes.CDLL) -> None:
        """Raises OSError when `built` cannot be loaded, AttributeError when this LLVM lacks a function it needs."""
        self._walk = ctypes.CDLL(str(built), mode=ctypes.DEFAULT_MODE)
        name = self._walk["walk_name"]
        name.restype, name.argtypes = ctypes.c_char_p, [ctypes.c_int]
        names: list[str] = []
        while (one := name(len(names))) is not None:
            names.append(one.decode())
        addresses = [ctypes.cast(getattr(lib, one), ctypes.c_void_p).value for one in names]
        bind = self._walk["walk_bind"]
        bind.restype, bind.argtypes = None, [ctypes.c_void_p]
        bind((ctypes.c_void_p * len(names))(*addresses))
        self._graph = self._walk["walk_graph"]
        self._graph.argtypes = [ctypes.c_void_p] * 6
        self._free = self._walk["walk_free"]
        self._free.restype, self._free.argtypes = None, [ctypes.c_void_p]
        self._counts = self._walk["walk_counts"]
        self._counts.argtypes = [ctypes.c_void_p] * 3
        words = table()
        self._table = (ctypes.c_int32 * len(words))(*words)

    def graph(self, module: ModuleHandle) -> Walked:
        """As Walker.graph."""
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
        """As Walker.counts."""
        counts = (ctypes.c_int64 * self._walk["walk_counts_size"]())()
        opcodes = (ctypes.c_int64 * OPCODE_ROOM)()
        if self._counts(module.ref, counts, opcodes):
            raise MemoryError("module counts: out of memory")
        return list(counts), list(opcodes)


def _copied(memory: ctypes.c_void_p, numbers: int) -> array[int]:
    found = array("i")
    if memory.value and numbers:
        found.frombytes(ctypes.string_at(memory.value, 4 * numbers))
    return found


def walker_for(lib: ctypes.CDLL) -> Walker:
    """The fastest walker this machine allows; kept for the life of the process."""
    return _walker(lib._name, _Library(lib))


class _Library:
    """libLLVM as a key of a cache: all are alike, the name beside it tells them apart."""

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
    """The shared object made of walk.c, built now if the cache has none.

    `library` is the libLLVM it is for. Raises OSError when no compiler works or no folder is both writable and private.
    """
    source = SOURCE.read_bytes()
    folder = folder or cache_folder()
    path = (
        folder / f"walk-{_digest(source, ' '.join(_FLAGS).encode(), _identity(library))}.so"
    )
    if path.is_file() and path.stat().st_uid == os.getuid():
        return path
    said = []
    for compiler in _compilers() if compilers is None else compilers:
        part = Path(tempfile.mkstemp(prefix="walk-", suffix=".part.so", dir=folder)[1])
        try:
            command = [*compiler, *_FLAGS, "-o", str(part), str(SOURCE)]
            environment = os.environ | {name: str(folder / "zig") for name in _ZIG_FOLDERS}
            done = subprocess.run(
                command, capture_output=True, timeout=_BUILD_S, env=environment, check=False
            )
            if done.returncode == 0:
                os.replace(part, path)  # whole or not at all, whoever else is building
                return path
            said.append(
                f"{compiler[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}"
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            said.append(f"{compiler[0]}: {error}")
        finally:
            part.unlink(missing_ok=True)
    raise OSError(
        f"no C compiler built {SOURCE.name}: {'; '.join(said) or 'none is installed'}"
    )


_ZIG_FOLDERS = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")


def _compilers() -> list[tuple[str, ...]]:
    found = [(path,) for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    return [*found, (sys.executable, "-P", "-m", "ziglang", "cc")]


def cache_folder() -> Path:
    """A folder of this user alone: what is loaded from it becomes part of the process. Raises OSError when there is none."""
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
    except OSError:  # a name that the loader looked up, as "libLLVM.so.22.1"
        return library.name.encode()
    return f"{library.name} {status.st_size} {status.st_mtime_ns}".encode()


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
