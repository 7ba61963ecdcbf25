"""Command lines of C compiler and linker: program, headers, target.

Two front-ends make the same code. Debian's clang is called as it is. The wheel `ziglang` holds a
whole clang 22: `zig clang …` is LLVM's own driver, and with its bundled headers named it makes the
IR of Debian's clang-22, equal but for the producer's name. (`zig cc`, the documented way, does not:
it defines NDEBUG, turns -Oz into -Os, keeps frame pointers and writes debug information.) zig links
by itself, so `zig cc` and `zig c++` are the linkers where the system has none.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm import install
from solvers.llvm.types import LlvmMissing, Target

# Zig's folder of headers for a triple's architecture; its glibc headers serve all of them.
_ARCHITECTURES = {
    "x86_64": "x86",
    "i386": "x86",
    "i686": "x86",
    "aarch64": "aarch64",
    "arm": "arm",
    "armv7": "arm",
    "thumbv7": "arm",
    "riscv32": "riscv",
    "riscv64": "riscv",
    "powerpc64le": "powerpc",
    "powerpc64": "powerpc",
    "s390x": "s390x",
    "loongarch64": "loongarch",
    "mips": "mips",
    "mipsel": "mips",
}
# zig configures libc++ on the command line; these are the settings of its own build.
_LIBCXX = (
    "ABI_VERSION=1",
    "ABI_NAMESPACE=__1",
    "HAS_THREADS=1",
    "HAS_MONOTONIC_CLOCK",
    "HAS_TERMINAL",
    "HAS_MUSL_LIBC=0",
    "DISABLE_VISIBILITY_ANNOTATIONS",
    "HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0",
    "HAS_FILESYSTEM=1",
    "HAS_RANDOM_DEVICE",
    "HAS_LOCALIZATION",
    "HAS_UNICODE",
    "HAS_WIDE_CHARACTERS",
    "HAS_NO_STD_MODULES",
    "HAS_TIME_ZONE_DATABASE",
    "PSTL_BACKEND_SERIAL",
    "HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE",
    "ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_IGNORE",
)
_X86 = re.compile(r"x86_64|i[3-7]86|amd64|x86")
_ARM = re.compile(r"arm(?!64)|thumb")
_ARMV7A = re.compile(r"(arm|thumb)v7(a|-a)?")
_SOFT_FLOAT, _HARD_FLOAT = (
    re.compile(r"-(gnu|musl)?eabi(t64)?$"),
    re.compile(r"-(gnu|musl)?eabihf(t64)?$"),
)
# The oldest glibc that compiled code supports; `zig cc` links against the same.
_GLIBC_MINOR = 31


class BadTarget(ValueError):
    """A triple, CPU or feature is not a valid argument of a compiler."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program with its first arguments, and the folders it reads beyond the system's."""

    words: tuple[str, ...]
    folders: tuple[Path, ...] = ()
    # zig as linker builds its C library first, in ZIG_GLOBAL_CACHE_DIR.
    wants_cache: bool = False


def compiler(
    target: Target, *, cxx: bool, freestanding: bool = False, flags: Sequence[str] = ()
) -> Command:
    """Return clang with the headers for `target`; `flags` are the caller's, which follow.

    Raises LlvmMissing, BadTarget.
    """
    _check(target)
    installed = install.find_llvm(target.triple)
    zig = _zig(installed.clang)
    chosen = ["-target", target.triple, *driver_words(target, flags)]
    if zig is None:
        prefix = installed.clangxx if cxx else installed.clang
        path = shutil.which(prefix[0])
        if path is None:
            raise LlvmMissing(f"the C compiler {prefix[0]!r} has been removed")
        return Command(
            words=(path, *prefix[1:], *chosen), folders=(Path(path).resolve().parents[1],)
        )
    library = zig.parent / "lib"
    words = [
        str(zig),
        "clang",
        *(("--driver-mode=g++",) if cxx else ()),
        *chosen,
        "-nobuiltininc",
    ]
    if cxx and _system_cxx(target):  # clang locates libstdc++ and its C headers itself
        return Command(
            words=(*words, "-isystem", str(library / "include")), folders=(zig.parent,)
        )
    words.append("-nostdlibinc")
    if cxx and not freestanding:
        words.append("-nostdinc++")
        for folder in ("libcxx/include", "libcxxabi/include"):
            words += ["-isystem", str(library / folder)]
        words += [f"-D_LIBCPP_{word}" for word in _LIBCXX] + [
            "-D_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS"
        ]
    words += ["-isystem", str(library / "include")]
    for folder in _headers(target.triple) if not freestanding else ():
        words += ["-isystem", str(library / "libc" / "include" / folder)]
    if "linux-gnu" in target.triple:
        words.append(f"-D__GLIBC_MINOR__={_GLIBC_MINOR}")
    return Command(words=tuple(words), folders=(zig.parent,))


def driver_words(target: Target, flags: Sequence[str] = ()) -> list[str]:
    """Return the arguments of clang's driver for a target, beside its triple.

    Vendors patch the defaults of 32-bit ARM (Debian's clang and zig's differ). They are written out
    here with Debian's values, so that both front-ends make the same code. The caller's `flags` win.
    """
    architecture = target.triple.split("-")[0]
    words = []
    if target.cpu:
        words.append(
            f"-march={target.cpu}"
            if _X86.fullmatch(architecture)
            else f"-mcpu={target.cpu}"
        )
    if _ARM.match(architecture) and not any(
        flag.startswith("-mfloat-abi=") for flag in flags
    ):
        no_fpu_chosen = not target.cpu and not any(
            flag.startswith("-mfpu=") for flag in flags
        )
        if _SOFT_FLOAT.search(target.triple):
            words.append("-mfloat-abi=soft")
        elif (
            _HARD_FLOAT.search(target.triple)
            and _ARMV7A.fullmatch(architecture)
            and no_fpu_chosen
        ):
            words.append("-mfpu=vfpv3-d16")
    for feature in filter(None, target.features.split(",")):
        words += ["-Xclang", "-target-feature", "-Xclang", feature]
    if target.pic is False:
        words += ["-fno-pic", "-fno-pie"]
    elif target.pic and not is_hosted(target.triple):
        words.append("-fPIC")
    return words


def is_hosted(triple: str) -> bool:
    """Return whether code for `triple` runs under an operating system.

    clang's driver makes such code position-independent.
    """
    return bool(re.search(r"linux|android|bsd|fuchsia|hurd|solaris|haiku", triple))


def linker(target: Target, *, cxx: bool) -> Command:
    """Return a driver that links objects: the system's `cc` or `c++` (0.1 s), or else zig's.

    The system's serves its own target. zig builds its C library at the first link (14 s on one core
    of the machine it was measured on; with libc++ 34 s more) and caches it. Raises LlvmMissing,
    BadTarget.
    """
    _check(target)
    zig = _zig(install.find_llvm(target.triple).clang)
    if _is_native(target) and (not cxx or zig is None or _system_cxx(target)):
        driver = _system_compiler(cxx)
        if driver is not None:
            return Command(words=(driver, "-no-pie" if target.pic is False else "-pie"))
    if zig is None:
        installed = shutil.which("zig")
        if installed is None:
            raise LlvmMissing(
                f"no linker for {target.triple}: expected the system's cc (Debian: apt-get "
                "install gcc libc6-dev) for x86-64, or the wheel `ziglang` (pip install ziglang) "
                "for other targets"
            )
        zig = Path(installed).resolve()
    words = (
        str(zig),
        "c++" if cxx else "cc",
        "-target",
        _for_zig(target.triple),
        "-fno-sanitize=all",
    )
    return Command(
        words=(*words, *(("-no-pie",) if target.pic is False else ())),
        folders=(zig.parent,),
        wants_cache=True,
    )


def _system_compiler(cxx: bool) -> str | None:
    """Return the system's C or C++ compiler, or None.

    Debian's `cc` is a link through /etc/alternatives, which a sandbox may hide: try other names.
    """
    names = ("c++", "g++", "clang++") if cxx else ("cc", "gcc", "clang")
    return next(
        (path for name in names if (path := shutil.which(name)) is not None), None
    )


def _zig(prefix: Sequence[str]) -> Path | None:
    """Return the program inside the wheel `ziglang`, or None when clang is another's.

    It is called directly, without an interpreter in between.
    """
    if "ziglang" not in prefix:
        return None
    program = wheel_zig()
    if program is None:
        raise LlvmMissing(
            "the wheel `ziglang` has no program `zig`: expected version 0.17 (pip install ziglang)"
        )
    return program


def wheel_zig() -> Path | None:
    """Return the program of the wheel `ziglang`, or None without it."""
    wheel = importlib.util.find_spec("ziglang")
    program = Path(wheel.origin).with_name("zig") if wheel and wheel.origin else None
    return program if program is not None and program.exists() else None


def _is_native(target: Target) -> bool:
    return target.triple.startswith("x86_64") and "linux-gnu" in target.triple


@functools.cache
def _has_system_cxx() -> bool:
    """Return whether libstdc++'s headers and a driver that links it exist; else libc++ is used."""
    return _system_compiler(cxx=True) is not None and any(
        Path("/usr/include/c++").glob("*/cstddef")
    )


def _system_cxx(target: Target) -> bool:
    return _is_native(target) and _has_system_cxx()


def _headers(triple: str) -> list[str]:
    """Return the folders of C library headers; none for a target without an operating system."""
    architecture = next(
        (v for k, v in _ARCHITECTURES.items() if re.match(rf"{k}\w*-", triple)), None
    )
    if architecture is None or "-linux" not in triple:
        return []
    if "musl" in triple:
        exact = triple.split("-")[0]
        own = {"x86_64": "x86", "riscv32": "riscv32", "riscv64": "riscv64"}.get(
            exact, architecture
        )
        return [
            f"{own}-linux-musl",
            "generic-musl",
            f"{architecture}-linux-any",
            "any-linux-any",
        ]
    return [
        f"{architecture}-linux-gnu",
        "generic-glibc",
        f"{architecture}-linux-any",
        "any-linux-any",
    ]


def _for_zig(triple: str) -> str:
    """Return zig's name of a triple: x86_64-linux-gnu for x86_64-unknown-linux-gnu."""
    parts = triple.split("-")
    architecture = {"i686": "x86", "i386": "x86", "armv7": "arm"}.get(parts[0], parts[0])
    return "-".join([architecture, *(parts[2:] if len(parts) == 4 else parts[1:])])


def _check(target: Target) -> None:
    for what, value, pattern in (
        ("triple", target.triple, r"[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+){1,4}"),
        ("cpu", target.cpu, r"[A-Za-z0-9_.+-]*"),
        ("features", target.features, r"([+-][A-Za-z0-9_.-]+(,[+-][A-Za-z0-9_.-]+)*)?"),
    ):
        if (
            len(value) > 2000
            or not re.fullmatch(pattern, value)
            or value.startswith("-" if what != "features" else "=")
        ):
            raise BadTarget(
                f"target.{what}: expected a word such as `clang --print-targets` lists, "
                f"got {value[:100]!r}"
            )
