"""From what came (IR, a source file, an archive) to one module, the runs it is judged by, and what is to be told."""

from __future__ import annotations

import platform
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from search.domains.compile.parse.archive import Unpacked, pattern, unpack
from search.types import InvalidInput
from solvers.llvm.driver import Driver, decide
from solvers.llvm.execute import RunCase
from solvers.llvm.frontend import SourceError, compile_to_bitcode, link_bitcode
from solvers.llvm.install import find_llvm, serves
from solvers.llvm.programs import ToolFailed, Tools
from solvers.llvm.toolchain import is_hosted
from solvers.llvm.types import EngineLimits, LlvmMissing, Metric, Target
from trimtab.specs.compile import Build, CompileSpec, Language, Objective, Run

FRONTEND_S = 120.0
_BITCODE = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
_ARCHIVES = (b"PK", b"\x1f\x8b")
_LANGUAGES: Mapping[str, Language] = {
    ".c": Language.C,
    ".cc": Language.CXX,
    ".cpp": Language.CXX,
    ".cxx": Language.CXX,
    ".ll": Language.IR,
    ".bc": Language.IR,
}
_SUFFIX = {Language.C: ".c", Language.CXX: ".cpp", Language.IR: ".ll"}
_MOST_SOURCES = 2000
_TOLD_FILES = 5
_MISSING_HEADER = re.compile(r"error: '(?P<name>[^'\n]+)' file not found")
_MOST_WARNED = 2000  # characters of a source's warnings that are shown


@dataclass(frozen=True, kw_only=True, eq=False)
class CompileProblem:
    """One module to be made small. `module` is the file the check reads; nothing writes to it."""

    spec: CompileSpec
    module: Path  # bitcode, unoptimised
    target: Target  # as the front-end and the linker take it
    machine: Target  # as passes and code generator take it: all that clang's driver decides for `target` and the flags
    pipelines: Mapping[str, str]  # level → what clang's own driver runs at it
    flags: tuple[str, ...]  # of the caller, for the front-end
    metric: Metric
    cases: tuple[
        RunCase, ...
    ]  # asked for; empty: the program's own `main`, if it may be run
    case_timeouts_s: tuple[float, ...]
    may_run: bool  # by its owner's word and this machine's processor
    objects: tuple[Path, ...]  # object files the program is completed with
    libraries: tuple[str, ...]
    sources: tuple[str, ...]  # names, for people
    cxx: bool  # linked as C++
    notes: tuple[str, ...]
    workdir: Path
    began: float = field(default_factory=time.monotonic)

    @property
    def timed(self) -> bool:
        """CPU time is the objective; `metric` then only says which size is told."""
        return self.spec.objective is Objective.RUN_TIME


def parse(spec: CompileSpec, inputs: Mapping[str, Path], workdir: Path) -> CompileProblem:
    """Raises InvalidInput, with the compiler's own words where it has some."""
    began = time.monotonic()
    target = Target(
        triple=spec.target.triple,
        cpu=spec.target.cpu,
        features=spec.target.features,
        pic=spec.target.pic,
    )
    _served(target)
    runnable = native(target.triple)
    if spec.runs and not runnable:
        raise InvalidInput(
            f"runs: the code is for {target.triple}, this machine is {platform.machine()} and cannot run it; drop `runs` "
            "(the answer is then labelled unvalidated) or choose a triple of this machine"
        )
    sources, build, notes = _sources(spec, inputs, workdir)
    module = workdir / "original.bc"
    try:
        driver = _decided(sources, build, target, workdir)
        warnings: list[str] = []
        module = _module(
            sources, build, target, module, workdir, flavour_of(spec), warnings.append
        )
        notes += [f"compiler: {text[:_MOST_WARNED]}" for text in warnings[:_TOLD_FILES]]
        objects = _objects(spec, inputs, target, workdir)
    except SourceError as error:
        raise InvalidInput(f"{error}{_hint(str(error), spec)}") from error
    except LlvmMissing as error:
        raise InvalidInput(f"this server cannot compile: {error}") from error
    if not runnable:
        notes.append(
            f"code for {target.triple} cannot be run on this machine ({platform.machine()})"
        )
    timed = spec.objective is Objective.RUN_TIME
    if timed and not runnable:
        raise InvalidInput(
            f"objective run_time: code for {target.triple} cannot be run on this machine; choose another one"
        )
    metric = Metric.LOADABLE_BYTES if timed else Metric(spec.objective.value)
    return CompileProblem(
        spec=spec,
        module=module,
        target=replace(target, pic=driver.target.pic),
        machine=driver.target,
        pipelines=driver.levels,
        flags=build.flags,
        metric=metric,
        cases=tuple(
            _case(run, inputs.get(f"stdin_{i}")) for i, run in enumerate(spec.runs)
        ),
        case_timeouts_s=tuple(run.timeout_seconds for run in spec.runs),
        may_run=runnable and (spec.run_by_itself or bool(spec.runs)),
        objects=objects,
        libraries=tuple(f"-l{library.value}" for library in spec.link.libraries),
        sources=tuple(name for name, _ in sources),
        cxx=any(_language(name) is Language.CXX for name, _ in sources),
        notes=tuple(notes),
        workdir=workdir,
        began=began,
    )


def flavour_of(spec: CompileSpec) -> str:
    """The level whose attributes sources get: what time is compared with is -O2, what size is compared with is -Oz."""
    return "O2" if spec.objective is Objective.RUN_TIME else "Oz"


def native(triple: str) -> bool:
    """Whether this machine can run code for `triple`."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    arch, _, rest = triple.partition("-")
    return arch in (machine, {"aarch64": "arm64"}.get(machine, machine)) and "linux" in rest


def _served(target: Target) -> None:
    """Refuses a target that the installed LLVM has no code generator for, in words that say what it has."""
    installed = find_llvm()
    if not serves(installed, target.triple):
        raise InvalidInput(
            f"target.triple: expected a target that {installed.build_id} has code for, got {target.triple!r}; it has "
            f"{', '.join(installed.targets)}. Choose one of those, or set TRIMTAB_LLVM to an LLVM built with more targets"
        )


def _decided(sources: Sources, build: _Folders, target: Target, workdir: Path) -> Driver:
    """Everything clang's driver decides. A flag counts as taken when one of the program's languages takes it."""
    languages = {_language(path.name) for _, path in sources}
    folder = _made(workdir / "driver")
    if languages == {Language.IR}:
        _for_ir(build, target, folder)
    error: SourceError | None = None
    for cxx in (True, False):
        if (Language.CXX if cxx else Language.C) not in languages and not (
            languages == {Language.IR} and not cxx
        ):
            continue
        try:
            driver = decide(
                target, flags=build.flags, cxx=cxx, workdir=folder, timeout_s=FRONTEND_S
            )
        except SourceError as refused:
            error = refused
            continue
        if target.pic is not None and driver.target.pic != target.pic:
            raise InvalidInput(
                f"build.flags: expected flags that go with target.pic {str(target.pic).lower()}, got "
                f"{' '.join(build.flags)}; leave target.pic out, or the flag"
            )
        return driver
    assert error is not None
    raise error


def _hint(text: str, spec: CompileSpec) -> str:
    """What to do about a header that is not there; empty for other errors."""
    missing = _MISSING_HEADER.search(text)
    if missing is None:
        return ""
    where = (
        ""
        if is_hosted(spec.target.triple)
        else f"For {spec.target.triple} there are the compiler's own headers only, and no C library's. "
    )
    return (
        f"\n{where}Pack {missing['name']!r} and what it includes into an archive (.tar.gz or .zip) with the sources, and name "
        "the folder of the headers in build.include"
    )


def _for_ir(build: _Folders, target: Target, folder: Path) -> None:
    """Refuses what can only act on sources when all there is is IR."""
    if build.include:
        raise InvalidInput(
            "build.include: headers are for sources, and this program is LLVM IR; leave it out"
        )
    plain = decide(target, levels=("Oz",), workdir=folder)
    for flag in build.flags:
        if decide(target, flags=(flag,), levels=("Oz",), workdir=folder) == plain:
            raise InvalidInput(
                f"build.flags: {flag!r} acts where sources become IR, and this program is IR already; leave it out"
            )


Sources = list[tuple[str, Path]]  # (name for people, file)


def _sources(
    spec: CompileSpec, inputs: Mapping[str, Path], workdir: Path
) -> tuple[Sources, _Folders, list[str]]:
    if spec.source_text is not None:
        language = spec.language or _told_from(spec.source_text.encode())
        file = workdir / f"program{_SUFFIX[language]}"
        file.write_text(spec.source_text, encoding="utf-8")
        return [(file.name, file)], _Folders.of(spec.build, workdir), []
    assert spec.source is not None
    file, name = inputs["source"], spec.source.name or inputs["source"].name
    if file.stat().st_size == 0:
        raise InvalidInput(f"{name}: the file is empty")
    with file.open("rb") as opened:
        head = opened.read(512)
    if head[:2] in _ARCHIVES or name.lower().endswith((".tar", ".tar.gz", ".tgz", ".zip")):
        return _from_archive(spec.build, file, name, workdir)
    language = _language(name) or _told_from(head)
    if head.startswith(_BITCODE):
        language = Language.IR
    # The compiler tells languages by the name, which may be anything here: it gets one of ours.
    suffix = ".bc" if head.startswith(_BITCODE) else _SUFFIX[language]
    folder = workdir / "source"
    folder.mkdir(exist_ok=True)
    copy = folder / (_plain(Path(name).stem) + suffix)
    shutil.copyfile(file, copy)
    return [(name, copy)], _Folders.of(spec.build, folder), []


@dataclass(frozen=True, kw_only=True)
class _Folders:
    """What the compiler is told besides the files."""

    flags: tuple[str, ...]
    include: tuple[Path, ...]

    @classmethod
    def of(cls, build: Build, root: Path, top: str = "") -> _Folders:
        """`root` is the program's folder; every include folder has to be in it."""
        include = []
        for name in build.include:
            folder = root if name == top else root / _below_top(name, top)
            if not folder.is_dir():
                raise InvalidInput(
                    f"build.include: there is no folder {name!r} in the program; name one that is there"
                )
            include.append(folder)
        return cls(
            flags=(*build.flags, *(f"-D{define}" for define in build.defines)),
            include=tuple(include),
        )


def _from_archive(
    build: Build, file: Path, name: str, workdir: Path
) -> tuple[Sources, _Folders, list[str]]:
    tree = unpack(file, workdir / "source", name=name)
    notes = []
    if tree.left_out:
        shown = ", ".join(tree.left_out[:_TOLD_FILES]) + (
            ", …" if len(tree.left_out) > _TOLD_FILES else ""
        )
        notes.append(f"{len(tree.left_out)} links of the archive were left out: {shown}")
    chosen = _chosen(tree, build, name)
    if len(chosen) > 1:
        notes.append(
            f"{len(chosen)} sources were linked to one module, which was optimised as a whole (-Oz too); every external symbol "
            "of theirs stays"
        )
    return (
        [(path, tree.folder / path) for path in chosen],
        _Folders.of(build, tree.folder, tree.top),
        notes,
    )


def _chosen(tree: Unpacked, build: Build, name: str) -> list[str]:
    known = [path for path in tree.files if _language(path) is not None]
    if not build.files:
        chosen = [path for path in known if _language(path) is not Language.IR]
        if not chosen and len(known) == 1:
            chosen = known
    else:
        chosen = []
        for glob in build.files:
            match = pattern(_below_top(glob, tree.top))
            hits = [path for path in tree.files if match.match(path)]
            if not hits:
                raise InvalidInput(
                    f"build.files: {glob!r} matches none of the {len(tree.files)} files of {name}, such as "
                    f"{', '.join(map(repr, tree.files[:_TOLD_FILES]))}"
                )
            if unknown := [
                path for path in hits if _language(path) is None and not glob.endswith("*")
            ]:
                raise InvalidInput(
                    f"build.files: {unknown[0]!r} is no source; wanted {', '.join(sorted(_LANGUAGES))}"
                )
            chosen += [
                path for path in hits if _language(path) is not None and path not in chosen
            ]
    left_out = [pattern(_below_top(glob, tree.top)) for glob in build.exclude]
    chosen = [path for path in chosen if not any(match.match(path) for match in left_out)]
    if not chosen:
        raise InvalidInput(
            f"{name}: no source to compile is left; wanted {', '.join(sorted(_LANGUAGES))}"
        )
    if len(chosen) > _MOST_SOURCES:
        raise InvalidInput(
            f"{name}: {len(chosen):,} sources; at most {_MOST_SOURCES:,} are taken: name them by build.files"
        )
    return chosen


def _module(
    sources: Sources,
    build: _Folders,
    target: Target,
    module: Path,
    workdir: Path,
    flavour: str,
    on_warnings: Callable[[str], object],
) -> Path:
    """One unoptimised module of all sources."""
    compiled = [
        (name, path) for name, path in sources if _language(path.name) is not Language.IR
    ]
    ready = [path for _, path in sources if _language(path.name) is Language.IR]
    if not compiled and len(ready) == 1:
        return _assembled(ready[0], target, module)
    parts = compile_to_bitcode(
        [path for _, path in compiled],
        workdir=_made(workdir / "front-end"),
        target=target,
        flavour=flavour,
        flags=build.flags,
        include=build.include,
        timeout_s=FRONTEND_S,
        on_warnings=on_warnings,
    )
    parts += [
        _assembled(path, target, module.with_name(f"ir-{i}.bc")).read_bytes()
        for i, path in enumerate(ready)
    ]
    module.write_bytes(
        parts[0]
        if len(parts) == 1
        else link_bitcode(parts, workdir=_made(workdir / "link"))
    )
    return module


def _assembled(path: Path, target: Target, out: Path) -> Path:
    """Bitcode as it is, text as bitcode: a reader that drops value names, as ours does, wants bitcode."""
    engine_limits(path)
    with path.open("rb") as file:
        if file.read(4) in _BITCODE:
            shutil.copyfile(path, out)
            return out
    try:
        Tools(installed=find_llvm(), target=target).assemble(path, out)
    except ToolFailed as error:
        raise InvalidInput(
            f"{path.name}: this LLVM cannot read the module: {error}"
        ) from error
    return out


def _objects(
    spec: CompileSpec, inputs: Mapping[str, Path], target: Target, workdir: Path
) -> tuple[Path, ...]:
    """Files that complete the program: objects as they are, IR as it is (the linker step takes both), sources compiled."""
    files: list[Path] = []
    for i, reference in enumerate(spec.link.objects):
        path, name = inputs[f"object_{i}"], reference.name
        language = _language(name)
        if language in (Language.C, Language.CXX):
            copy = _made(workdir / "objects") / f"{i}{Path(name).suffix.lower()}"
            shutil.copyfile(path, copy)
            folders = _Folders.of(spec.build.model_copy(update={"include": ()}), workdir)
            code = compile_to_bitcode(
                [copy],
                workdir=_made(workdir / "front-end"),
                target=target,
                flavour=flavour_of(spec),
                flags=folders.flags,
                timeout_s=FRONTEND_S,
            )
            path = copy.with_suffix(".bc")
            path.write_bytes(code[0])
        elif language is None and not name.lower().endswith((".o", ".a")):
            raise InvalidInput(
                f"link.objects: {name!r} came; wanted .o, .a, or one of {', '.join(sorted(_LANGUAGES))}"
            )
        files.append(path)
    return tuple(files)


def _case(run: Run, stdin_file: Path | None) -> RunCase:
    return RunCase(
        arguments=run.arguments,
        stdin=stdin_file.read_bytes() if stdin_file is not None else run.stdin.encode(),
        expected_stdout=None
        if run.expected_stdout is None
        else run.expected_stdout.encode(),
        expected_exit=run.expected_exit,
    )


def _language(name: str) -> Language | None:
    return _LANGUAGES.get(Path(name).suffix.lower())


def _told_from(head: bytes) -> Language:
    """IR says so in its first lines; C++ cannot be told from C, and is asked for by name."""
    lines = [line.strip() for line in head.splitlines()]
    words = (
        b"; ModuleID",
        b"source_filename",
        b"target ",
        b"define ",
        b"declare ",
        b"@",
        b"%",
        b"!",
        b"attributes ",
    )
    first = next(
        (
            line
            for line in lines
            if line and not (line.startswith(b";") and b"ModuleID" not in line)
        ),
        b"",
    )
    return Language.IR if first.startswith(words) else Language.C


def _below_top(path: str, top: str) -> str:
    """Owners may or may not write the archive's single top folder."""
    return path.removeprefix(f"{top}/") if top and path != top else path


def _plain(stem: str) -> str:
    kept = "".join(
        character if character.isalnum() or character in "._-" else "_"
        for character in stem
    )
    return kept.strip(".-")[:80] or "program"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def engine_limits(module: Path) -> EngineLimits:
    """Raises InvalidInput when the module is beyond them: said here, before megabytes go to another process."""
    limits = EngineLimits()
    if (size := module.stat().st_size) > limits.module_bytes:
        raise InvalidInput(
            f"the module has {size:,} bytes; at most {limits.module_bytes:,} are taken: optimise it in parts"
        )
    return limits


def names(sources: Sequence[str]) -> str:
    """Sources for people, shortened."""
    more = len(sources) - _TOLD_FILES
    return ", ".join(sources[:_TOLD_FILES]) + (f" and {more} more" if more > 0 else "")
