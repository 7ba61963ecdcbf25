"""Decisions of clang's driver that do not show in the IR: float ABI, sections, relocation model, the level's own passes.

The driver turns `clang -Oz --target=T flags` into a `clang -cc1` line. Part of that line shapes the IR, part sets up the code
generator and the pass manager. The second part is read from the line (`clang -###`) and put into words of `opt` and `llc`,
which take the same settings by other names. An object made with them is the one that clang makes.
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
# Words of `clang -cc1` that set the code generator → the same for `llc`.
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
# All that may come out of it: a recipe file that names other words is not followed.
OF_DRIVER = re.compile(
    rf"({'|'.join(map(re.escape, [*_ALONE.values(), '-arm-restrict-it', '-arm-no-restrict-it']))})"
    rf"|({'|'.join(map(re.escape, _WITH_VALUE.values()))})=[A-Za-z0-9_.+-]+|-enable-machine-outliner(=[a-z]+)?"
)


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Clang's driver for one target, set of flags and language."""

    target: Target  # as the engine takes it: everything decided
    levels: Mapping[
        str, str
    ]  # level → its own pipeline, as clang prints it; may hold passes that LLVM does not read back


def decide(
    asked: Target,
    *,
    flags: Sequence[str] = (),
    cxx: bool = False,
    levels: Sequence[str] = ("O0", "O1", "O2", "O3", "Os", "Oz"),
    workdir: Path,
    timeout_s: float = 60.0,
    stopped: Callable[[], bool] = lambda: False,
) -> Driver:
    """Ask the driver what it does for `asked` with the caller's `flags`.

    Raises SourceError: a target or a flag that the compiler does not take, or a flag without effect on this target, by name.
    Raises LlvmMissing, Stopped. Answers are kept in this process.
    """
    key = (
        install.find_llvm().build_id,
        asked,
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
        command, words = command_for(probe, asked, code_flags, folder)
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
                told = diagnostics(done, command.folders, folder, folder)
                raise SourceError(
                    f"target {asked.triple!r}, flags {shlex.join(flags)[:400]!r}",
                    _plainly(told),
                )
            return text + done.stdout.decode("utf-8", "replace")

        line = ask("-Oz", "-c", "-###", *((_UNUSED,) if code_flags else ()))
        ask("-Oz", "-Xclang", "-disable-llvm-passes", "-emit-llvm", "-S", "-w")
        attributes = dict(_ATTRIBUTE.findall((folder / "probe.out").read_text()))
        pipelines = {
            level: ask(f"-{level}", "-c", "-w", "-mllvm", "-print-pipeline-passes").strip()
            for level in levels
        }
    arguments = next(
        (shlex.split(text) for text in line.splitlines() if '"-cc1"' in text), []
    )
    triple = (
        arguments[arguments.index("-triple") + 1]
        if "-triple" in arguments
        else asked.triple
    )
    model = (
        arguments[arguments.index("-mrelocation-model") + 1]
        if "-mrelocation-model" in arguments
        else "static"
    )
    target = replace(
        asked,
        triple=triple,
        cpu=attributes.get("target-cpu", asked.cpu),
        features=attributes.get("target-features", asked.features),
        pic=model != "static",
        codegen=tuple(dict.fromkeys(_codegen(arguments))),
    )
    if len(_DECIDED) >= _MOST_DECIDED:
        _DECIDED.clear()
    _DECIDED[key] = Driver(target=target, levels=pipelines)
    return _DECIDED[key]


_DECIDED: dict[tuple[str, Target, tuple[str, ...], bool, tuple[str, ...]], Driver] = {}
_MOST_DECIDED = 1000


def object_by_clang(
    module: Path,
    out: Path,
    *,
    asked: Target,
    flags: Sequence[str] = (),
    level: str = "Oz",
    bitcode: bool = False,
    timeout_s: float = 120.0,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Object of a module as the front-end's own passes and code generator make it; its bitcode where that is asked for.

    Raises SourceError, LlvmMissing, Stopped.
    """
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="clang-") as name:
        folder = Path(name).resolve()
        command, words = command_for(
            Path("module.c"), asked, [*_without_paths(flags), "-nostdinc"], folder
        )
        (folder / "module.bc").write_bytes(module.read_bytes())
        done = run_held(
            [
                *command.words, *words, f"-{level}", "-w", "-x", "ir", *(["-emit-llvm"] if bitcode else []),
                "-c", "module.bc", "-o", "module.o",
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


def _codegen(arguments: Sequence[str]) -> Iterator[str]:
    """Words for `llc` from those of `clang -cc1`."""
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
    """Flags without those that name folders or headers of the program, which the probe does not have."""
    kept: list[str] = []
    words = iter(flags)
    for word in words:
        if word in ("-I", "-iquote", "-isystem", "-idirafter", "-include"):
            next(words, None)
        elif not word.startswith(("-I", "-iquote")):
            kept.append(word)
    return kept


def _plainly(text: str) -> str:
    """The driver's complaints without its name and its own flags, and a remedy for a flag that does nothing here."""
    lines = [
        line for line in text.splitlines() if re.search(r"(error|note): ", line)
    ] or text.splitlines()
    lines = [
        re.sub(r"^\S*(zig|clang\S*): |\s*\[-Werror[^\]]*\]", "", line) for line in lines
    ]
    hint = "a flag without effect on this target is refused: leave it out"
    return "\n".join([*lines, *([hint] if any("unused" in line for line in lines) else [])])
