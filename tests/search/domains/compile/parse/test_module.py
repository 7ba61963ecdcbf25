"""One module of all sources, objects to link, and hints for errors of the compiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.domains.compile.parse.module import (
    build_module,
    build_objects,
    engine_limits,
    hint_for,
)
from search.domains.compile.parse.sources import BuildOptions, Sources
from search.types import InvalidInput
from solvers.llvm.engine import Engine
from solvers.llvm.types import EngineLimits, Target
from tests.search.domains.compile.test_domain import REFERENCE
from trimtab.specs.compile import CompileSpec, CompileTarget, Link

SPEC = CompileSpec(source_text="int x;")
IR = "define i32 @from_ir() {\n  ret i32 3\n}\n"


def sources(folder: Path, **texts: str) -> Sources:
    files = []
    for name, text in texts.items():
        path = folder / name.replace("_", ".")
        path.write_text(text)
        files.append((path.name, path))
    return Sources(files=files, build=BuildOptions(flags=(), include=()))


def exported(module: Path) -> set[str]:
    with Engine(module.read_bytes()) as engine:
        return set(engine.info.exported)


def test_c_and_ir_become_one_module(tmp_path: Path) -> None:
    module, c = tmp_path / "original.bc", "int from_c(void) { return 2; }"
    build_module(sources(tmp_path, a_c=c, b_ll=IR), SPEC, Target(), module, print)
    assert exported(module) == {"from_c", "from_ir"}
    build_module(sources(tmp_path, b_ll=IR), SPEC, Target(), module, print)
    assert exported(module) == {"from_ir"}


def test_broken_ir_is_refused_with_llvms_message(tmp_path: Path) -> None:
    broken = sources(tmp_path, b_ll="define i32 @f() { ret i64 0 }")
    with pytest.raises(
        InvalidInput, match=r"b\.ll: this LLVM cannot read the module: .*i32"
    ):
        build_module(broken, SPEC, Target(), tmp_path / "original.bc", print)


def linked(folder: Path, name: str, content: bytes) -> tuple[Path, ...]:
    path = folder / "upload"
    path.write_bytes(content)
    objects = (REFERENCE.model_copy(update={"name": name}),)
    spec = CompileSpec(source_text="int x;", link=Link(objects=objects))
    return build_objects(spec, {"object_0": path}, Target(), folder)


def test_sources_to_link_are_compiled_and_objects_are_kept(tmp_path: Path) -> None:
    (compiled,) = linked(tmp_path, "a.c", b"int y;")
    assert compiled.read_bytes().startswith(b"BC")
    (unchanged,) = linked(tmp_path, "lib.a", b"!<arch>\n")
    assert unchanged == tmp_path / "upload"
    with pytest.raises(InvalidInput, match=r"link\.objects: expected .* got 'a\.txt'"):
        linked(tmp_path, "a.txt", b"")


def test_large_modules_are_refused(tmp_path: Path) -> None:
    module = tmp_path / "a.bc"
    module.touch()
    limits = engine_limits(module)
    assert limits == EngineLimits()
    with module.open("wb") as file:
        file.truncate(limits.module_bytes + 1)
    with pytest.raises(InvalidInput, match="optimise it in parts"):
        engine_limits(module)


@pytest.mark.parametrize(
    ("triple", "words"),
    [
        ("x86_64-unknown-linux-gnu", "\nPack"),
        ("thumbv7em-none-eabi", "sysroot.library picolibc adds one. Pack"),
    ],
)
def test_missing_headers_have_a_hint(triple: str, words: str) -> None:
    target: Any = CompileTarget(triple=triple)
    spec = CompileSpec(source_text="int x;", target=target)
    assert words in hint_for("a.c:1: fatal error: 'b.h' file not found", spec)
    assert hint_for("a.c:1: error: expected ';'", spec) == ""
