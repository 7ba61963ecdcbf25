"""Decisions of clang's driver that do not show in the IR.

They are float ABI, sections, relocation model and the level's own passes. The driver turns
`clang -Oz --target=T flags` into a `clang -cc1` line. Part of that line shapes the IR, part sets up
the code generator and the pass manager. The second part is read from the line (`clang -###`) and
translated into options of `opt` and `llc`. An object made with them is the one that clang makes.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from solvers.llvm import install
from solvers.llvm.frontend import SourceError, command_for, diagnostics, run_held
from solvers.llvm.types import Target

_PROBE = "void trimtab_probe(void) {}\n"
_PROBE_CXX = 'extern "C" void trimtab_probe() {}\n'
_ATTRIBUTE = re.compile(r'"(target-cpu|target-features)"="([^"]*)"')
_UNUSED = "-Werror=unused-command-line-argument"
# Options of `clang -cc1` that set the code generator → the same for `llc`.
_ALONE: Mapping[str, str] = {
    "-ffunction-sections": "-function-sections",
    "-fdata-sections": "-data-sections",
    "-fno-zero-initialized-in-bss": "-nozero-initialized-in-bss",
    "-mno-zero-initialized-in-bss": "-nozero-initialized-in-bss",
    "-faddrsig": "-addrsig",
    "-enable-tlsdesc": "-enable-tlsdesc",
    "-femulated-tls": "-emulated-tls",
    "-mrelax-all": "-mc-relax-all",
    "-mrelax-relocations=no": "-x86-relax-relocations=false",
    "-ffp-contract=fast": "-fp-contract=fast",
    "-ffp-contract=fast-honor-pragmas": "-fp-contract=fast",
    "-fno-unique-section-names": "-unique-section-names=false",
    "-fno-use-init-array": "-use-ctors",
}
_WITH_VALUE: Mapping[str, str] = {
    "-mfloat-abi": "-float-abi",
    "-target-abi": "-target-abi",
    "-meabi": "-meabi",
    "-mtls-size": "-tls-size",
    "-mcmodel": "-code-model",
    "-exception-model": "-exception-model",
}
# Every option that can result: a recipe file with others is refused.
_PLAIN = "|".join(
    map(re.escape, [*_ALONE.values(), "-arm-restrict-it", "-arm-no-restrict-it"])
)
_VALUED = "|".join(map(re.escape, _WITH_VALUE.values()))
OF_DRIVER = re.compile(
    rf"({_PLAIN})|({_VALUED})=[A-Za-z0-9_.+-]+|-enable-machine-outliner(=[a-z]+)?"
)


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Clang's driver for one target, set of flags and language."""

    target: Target  # for the engine: everything decided
    # level → its own pipeline, as clang prints it; may hold passes that LLVM cannot parse.
    levels: Mapping[str, str]


def decide(
    requested: Target,
    *,
    flags: Sequence[str] = (),
    cxx: bool = False,
    levels: Sequence[str] = ("O0", "O1", "O2", "O3", "Os", "Oz"),
    workdir: Path,
    timeout_s: float = 60.0,
    stopped: Callable[[], bool] = lambda: False,
) -> Driver:
    """Return the driver's decisions for a target and the caller's `flags`.

    Answers are cached in this process. Raises SourceError for a target or flag that the compiler
    does not support, or a flag without effect on this target, by name. Raises LlvmMissing, Stopped.
    """
    key = (
        install.find_llvm(requested.triple).build_id,
        requested,
        tuple(_without_paths(flags)),
        cxx,
        tuple(levels),
    )
    if key in _DECIDED:
        return _DECIDED[key]
    workdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workdir, prefix="driver-") as name:
        folder = Path(name).resolve()
        probe = folder / ("probe.cpp" if cxx else "probe.c")
        probe.write_text(_PROBE_CXX if cxx else _PROBE)
        code_flags = [word for word in _without_paths(flags) if word != "-w"]
        command, words = command_for(probe, requested, code_flags, folder)
        own = [*command.words, *words]

        def ask(*more: str) -> str:
            done = run_held(
                [*own, *more, "-o", "probe.out", probe.name],
                command=command,
                root=folder,
                timeout_s=timeout_s,
                stopped=stopped,
            )
            text = done.stderr.decode("utf-8", "replace")
            if done.exit_code != 0 or " error: " in text.partition('"-cc1"')[0]:
                messages = diagnostics(done, command.folders, folder, folder)
                raise SourceError(
                    f"target {requested.triple!r}, flags {shlex.join(flags)[:400]!r}",
                    _plainly(messages),
                )
            return text + done.stdout.decode("utf-8", "replace")

        line = ask("-Oz", "-c", "-###", *((_UNUSED,) if code_flags else ()))
        ask("-Oz", "-Xclang", "-disable-llvm-passes", "-emit-llvm", "-S", "-w")
        attributes = dict(_ATTRIBUTE.findall((folder / "probe.out").read_text()))
        pipelines = {
            level: ask(
                f"-{level}", "-c", "-w", "-mllvm", "-print-pipeline-passes"
            ).strip()
            for level in levels
        }
    if len(_DECIDED) >= _MOST_DECIDED:
        _DECIDED.clear()
    _DECIDED[key] = Driver(target=_decided(requested, line, attributes), levels=pipelines)
    return _DECIDED[key]


def _decided(requested: Target, line: str, attributes: Mapping[str, str]) -> Target:
    """Return the target with what the `-cc1` line and the functions' attributes decide."""
    arguments = next(
        (shlex.split(text) for text in line.splitlines() if '"-cc1"' in text), []
    )

    def value_of(option: str, default: str) -> str:
        return arguments[arguments.index(option) + 1] if option in arguments else default

    return replace(
        requested,
        triple=value_of("-triple", requested.triple),
        cpu=attributes.get("target-cpu", requested.cpu),
        features=attributes.get("target-features", requested.features),
        pic=value_of("-mrelocation-model", "static") != "static",
        codegen=tuple(dict.fromkeys(_codegen(arguments))),
    )


_DECIDED: dict[tuple[str, Target, tuple[str, ...], bool, tuple[str, ...]], Driver] = {}
_MOST_DECIDED = 1000


def object_by_clang(
    module: Path,
    out: Path,
    *,
    requested: Target,
    flags: Sequence[str] = (),
    level: str = "Oz",
    bitcode: bool = False,
    timeout_s: float = 120.0,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Write the object (or bitcode) that the front-end's own passes make of a module.

    Raises SourceError, LlvmMissing, Stopped.
    """
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="clang-") as name:
        folder = Path(name).resolve()
        command, words = command_for(
            Path("module.c"), requested, [*_without_paths(flags), "-nostdinc"], folder
        )
        (folder / "module.bc").write_bytes(module.read_bytes())
        done = run_held(
            [
                *command.words, *words, f"-{level}", "-w", "-x", "ir",
                *(["-emit-llvm"] if bitcode else []), "-c", "module.bc", "-o", "module.o",
            ],
            command=command,
            root=folder,
            timeout_s=timeout_s,
            stopped=stopped,
        )  # fmt: skip
        made = folder / "module.o"
        if done.exit_code != 0 or not made.exists():
            raise SourceError(
                f"clang -{level} on the module",
                diagnostics(done, command.folders, folder, folder),
            )
        out.write_bytes(made.read_bytes())


def objects_by_clang(
    modules: Sequence[Path],
    folder: Path,
    *,
    requested: Target,
    flags: Sequence[str] = (),
    level: str = "Oz",
    more: Sequence[str] = (),
    timeout_s: float = 300.0,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """Write the objects that clang's own passes make of modules into `folder`, in order.

    more: further arguments, as `-flto` or `-mllvm`. Raises SourceError, LlvmMissing, Stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    command, words = command_for(
        Path("module.c"), requested, [*_without_paths(flags), "-nostdinc"], folder
    )
    for i, module in enumerate(modules):
        (folder / f"{i}.bc").write_bytes(module.read_bytes())
    names = [f"{i}.bc" for i in range(len(modules))]
    done = run_held(
        [*command.words, *words, f"-{level}", "-w", *more, "-c", "-x", "ir", *names],
        command=command,
        root=folder,
        timeout_s=timeout_s,
        stopped=stopped,
    )
    objects = [folder / f"{i}.o" for i in range(len(modules))]
    if done.exit_code != 0 or not all(path.exists() for path in objects):
        raise SourceError(
            f"clang -{level} {shlex.join(more)}".rstrip(),
            diagnostics(done, command.folders, folder, folder),
        )
    return objects


def _codegen(arguments: Sequence[str]) -> Iterator[str]:
    """Translate options of `clang -cc1` into those of `llc`."""
    for place, word in enumerate(arguments):
        following = arguments[place + 1] if place + 1 < len(arguments) else ""
        name, equals, value = word.partition("=")
        if word in _ALONE:
            yield _ALONE[word]
        elif word == "-mllvm" and OF_DRIVER.fullmatch(following):
            yield following
        elif name in _WITH_VALUE and (equals or following):
            yield f"{_WITH_VALUE[name]}={value if equals else following}"


def _without_paths(flags: Sequence[str]) -> list[str]:
    """Return the flags without those that name folders or headers, which the probe lacks."""
    remaining: list[str] = []
    words = iter(flags)
    for word in words:
        if word in ("-I", "-iquote", "-isystem", "-idirafter", "-include"):
            next(words, None)
        elif not word.startswith(("-I", "-iquote")):
            remaining.append(word)
    return remaining


def _plainly(text: str) -> str:
    """Return the driver's errors without its name and own flags, with a remedy for unused flags."""
    lines = [
        line for line in text.splitlines() if re.search(r"(error|note): ", line)
    ] or text.splitlines()
    lines = [
        re.sub(r"^\S*(zig|clang\S*): |\s*\[-Werror[^\]]*\]", "", line) for line in lines
    ]
    hint = "a flag without effect on this target is refused: leave it out"
    return "\n".join(
        [*lines, *([hint] if any("unused" in line for line in lines) else [])]
    )
