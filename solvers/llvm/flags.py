"""Check a caller's compiler and linker flags against a closed list; refuse others by name.

An accepted flag takes effect: requested warnings are returned as notes, and `driver.decide` refuses
by name what the driver does not support on the target. `-fno-x` undoes an earlier `-fx`.

Left out on purpose: flags that change no code by themselves (-falign-functions, -fhosted, message
colours), write files or name outputs (-o, -MF, -save-temps), load code (-fplugin, -Xclang -load),
pass options to other programs (-Wl, -Wa, -Wp, -Xlinker), read arguments from files (@file), change
what is compared (-O…, -g, -flto), choose the target (-target, -march, -mcpu: a field of its own) or
read folders outside the sources.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_STANDARDS = (
    r"(c|gnu)(89|90|99|9x|11|1x|17|18|23|2x|2y)|iso9899:(1990|199409|1999|2011|2017|2024)"
)
_STANDARDS_CXX = r"(c|gnu)\+\+(98|03|0x|11|14|1y|17|1z|20|2a|23|2b|26|2c)"
FEATURES = (
    "asynchronous-unwind-tables blocks builtin char8_t common data-sections "
    "delete-null-pointer-checks exceptions fast-math finite-math-only freestanding "
    "function-sections gnu89-inline honor-infinities honor-nans inline inline-functions "
    "jump-tables math-errno merge-all-constants ms-extensions omit-frame-pointer "
    "optimize-sibling-calls pic PIC pie PIE plt reciprocal-math rounding-math rtti "
    "semantic-interposition short-enums short-wchar signed-char signed-zeros "
    "sized-deallocation stack-protector stack-protector-all stack-protector-strong "
    "strict-aliasing strict-enums strict-overflow threadsafe-statics trapping-math "
    "tree-vectorize unroll-loops unsafe-math-optimizations unsigned-char unwind-tables "
    "use-cxa-atexit vectorize visibility-inlines-hidden wrapv wrapv-pointer "
    "zero-initialized-in-bss"
)
MACHINE = (
    "mmx sse sse2 sse3 ssse3 sse4 sse4.1 sse4.2 avx avx2 bmi bmi2 popcnt lzcnt fma f16c "
    "aes pclmul sha crc32 movbe adx red-zone omit-leaf-frame-pointer outline "
    "unaligned-access strict-align thumb arm relax save-restore"
)


def _words(words: str) -> str:
    return "|".join(re.escape(word) for word in words.split())


# Each pattern is one whole word of the command line.
_COMPILER = (
    rf"-D{_NAME}(\([A-Za-z0-9_, .]*\))?(=.*)?",
    rf"-U{_NAME}",
    rf"-std=({_STANDARDS}|{_STANDARDS_CXX})",
    r"-W(?![lap],)[A-Za-z0-9+=_-]*",
    r"-w|-ansi|-pedantic|-pedantic-errors|-pthread|-nostdinc|-nostdinc\+\+|-trigraphs|-undef",
    rf"-f(no-)?({_words(FEATURES)})",
    rf"-fno-builtin-{_NAME}",
    r"-fvisibility=(default|hidden|internal|protected)",
    r"-ffp-contract=(on|off|fast|fast-honor-pragmas)",
    r"-ffp-model=(precise|strict|fast|aggressive)",
    r"-ferror-limit=[0-9]{1,4}|-ftemplate-depth=[0-9]{1,4}|-fconstexpr-depth=[0-9]{1,4}",
    r"-f(no-)?lax-vector-conversions",
    rf"-m(no-)?({_words(MACHINE)})",
    r"-mtune=[A-Za-z0-9._-]+|-mfloat-abi=(soft|softfp|hard)|-mfpu=[A-Za-z0-9.+-]+",
    # RISC-V names its extensions by -march alone.
    r"-march=rv(32|64)[a-z0-9_]+|-mabi=[a-z0-9-]+|-mcmodel=(small|medany)",
)
_WITH_PATH = ("-I", "-iquote", "-isystem", "-idirafter", "-include")
_LINKER = (
    r"-l[A-Za-z0-9_+.-]+",
    r"-static|-static-libgcc|-static-libstdc\+\+|-pthread|-s|-pie|-no-pie|-rdynamic",
    r"-Wl,(--gc-sections|--as-needed|--no-as-needed|--build-id=none)",
    r"-Wl,-z,(now|relro|noexecstack|max-page-size=[0-9]+)",
)
_LONGEST, _MOST = 4000, 500


class FlagRefused(ValueError):
    """A flag is not on the list, or its path leaves the sources' folder. The message names it."""


def checked_compiler_flags(flags: Sequence[str], root: Path) -> list[str]:
    """Return the flags for the compiler, which runs in `root`. Raises FlagRefused."""
    _bounded(flags)
    checked: list[str] = []
    words = iter(flags)
    for word in words:
        option = next(
            (
                o
                for o in _WITH_PATH
                if word == o or (word.startswith(o) and o in ("-I", "-iquote"))
            ),
            None,
        )
        if option is not None:
            path = word[len(option) :] or next(words, "")
            checked += [option, _inside(word, path, root)]
        elif not is_compiler_flag(word):
            raise FlagRefused(_why(word, "compiler"))
        else:
            checked.append(word)
    return checked


def is_compiler_flag(word: str) -> bool:
    """Tell whether one word without a path is a flag for the compiler that a job takes."""
    return any(re.fullmatch(pattern, word) for pattern in _COMPILER)


def checked_linker_flags(flags: Sequence[str]) -> list[str]:
    """Return the flags for the linker's driver. Raises FlagRefused."""
    _bounded(flags)
    for word in flags:
        if not any(re.fullmatch(pattern, word) for pattern in _LINKER):
            raise FlagRefused(_why(word, "linker"))
    return list(flags)


def _bounded(flags: Sequence[str]) -> None:
    if len(flags) > _MOST or any(
        len(word) > _LONGEST or not word.isprintable() for word in flags
    ):
        raise FlagRefused(
            f"flags: expected at most {_MOST} of at most {_LONGEST} printable characters each"
        )


def _inside(word: str, path: str, root: Path) -> str:
    """Return `path`, which lies below `root` also after links are followed. Raises FlagRefused."""
    pure = PurePosixPath(path)
    if not path or path.startswith("-") or pure.is_absolute() or ".." in pure.parts:
        raise FlagRefused(
            f"flag {word!r}: expected a relative path below the sources, without '..', got {path!r}"
        )
    if not (root / pure).resolve().is_relative_to(root.resolve()):
        raise FlagRefused(
            f"flag {word!r}: {path!r} leads out of the sources' folder by a link"
        )
    return str(pure)


def _why(word: str, whose: str) -> str:
    if re.match(r"-O|-g|-flto", word):
        hint = (
            "every source is compiled for -Oz without debug information, so that sizes compare; "
            "leave it out"
        )
    elif re.match(r"-march|-mcpu|-target|--target|-m32|-m64", word):
        hint = "the target is chosen by the fields for triple, CPU and features"
    else:
        hint = (
            "allowed are -D -U -I -include (relative paths), -std=, -W…, -f… and -m… that shape "
            "code, -pthread"
        )
        if whose == "linker":
            hint = (
                "allowed are -l…, -static, -pthread, -pie, -no-pie, -s, -Wl,--gc-sections"
            )
    return f"{whose} flag {word[:200]!r} is not allowed: {hint}"
