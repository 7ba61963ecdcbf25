from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from solvers.llvm.frontend import (
    Control,
    SourceError,
    SourceTree,
    Stopped,
    compile_to_bitcode,
    link_bitcode,
)
from solvers.llvm.install import find_llvm
from solvers.llvm.types import Target
from tests.waiting import sooner_than


def compiled(tmp_path: Path, text: str, name: str = "a.c", **options: object) -> bytes:
    sources = tmp_path / "sources"
    sources.mkdir(exist_ok=True)
    (sources / name).write_text(text)
    target = options.pop("target", Target())
    return compile_to_bitcode(
        [sources / name], workdir=tmp_path / "work", target=target, **options
    )[0]  # type: ignore[arg-type]


def text_of(bitcode: bytes) -> str:
    command = [str(find_llvm().tool("llvm-dis")), "-o", "-", "-"]
    return subprocess.run(
        command, input=bitcode, capture_output=True, check=True
    ).stdout.decode()


def test_attributes_are_those_of_clang_oz(tmp_path: Path) -> None:
    text = text_of(
        compiled(
            tmp_path,
            "#include <string.h>\nint f(char *s) { char b[99]; strcpy(b, s); return b[3]; }",
        )
    )
    attributes = next(
        line for line in text.splitlines() if line.startswith("attributes #0")
    )
    for word in ("minsize", "optsize", '"target-cpu"="x86-64"', '"tune-cpu"="generic"'):
        assert word in attributes
    # What `zig cc` would have added to it, or a build at -O0.
    for word in ("noinline", "optnone", "frame-pointer", "sspstrong", "sanitize", "+avx"):
        assert word not in attributes
    assert "!DILocation" not in text
    assert "alloca" in text  # no pass has run


def test_neither_ndebug_nor_fortify_is_defined(tmp_path: Path) -> None:
    compiled(
        tmp_path,
        "#if defined(NDEBUG) || (defined(_FORTIFY_SOURCE) && _FORTIFY_SOURCE > 0)\n"
        "#error here\n#endif\nint x;",
    )


def test_bitcode_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    text = "const char *w(void) { return __FILE__ __DATE__ __TIME__; }"
    one, two = tmp_path / "one", tmp_path / "a" / "longer" / "path"
    one.mkdir()
    two.mkdir(parents=True)
    assert compiled(one, text) == compiled(two, text)


def test_cxx_with_the_standard_library(tmp_path: Path) -> None:
    text = (
        "#include <vector>\n#include <string>\n"
        "int f(std::vector<std::string> v) { return (int)v.size(); }"
    )
    assert "_Z1f" in text_of(
        compiled(tmp_path, text, "a.cpp", flags=["-std=c++17", "-std=c11"])
    )


@pytest.mark.parametrize(
    ("triple", "cpu"),
    [
        ("aarch64-unknown-linux-gnu", "generic"),
        ("thumbv7em-none-unknown-eabi", "cortex-m4"),
    ],
)
def test_other_targets(tmp_path: Path, triple: str, cpu: str) -> None:
    text = text_of(
        compiled(
            tmp_path,
            "#include <stdint.h>\nuint8_t x;",
            target=Target(triple=triple, cpu=cpu),
        )
    )
    assert f'target triple = "{triple}"' in text


def test_an_unknown_target_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="banana-unknown-linux"):
        compiled(tmp_path, "int x;", target=Target(triple="banana-unknown-linux"))
    with pytest.raises(SourceError, match="got '-o x'"):
        compiled(tmp_path, "int x;", target=Target(triple="-o x"))


def test_compiler_messages_have_relative_paths(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        compiled(tmp_path, "int f(void) {\n  return nowhere;\n}\n", "sub_name.c")
    assert (
        "sub_name.c:2:10: error: use of undeclared identifier 'nowhere'"
        in caught.value.diagnostics
    )
    assert str(tmp_path) not in str(caught.value)


def test_files_outside_the_sources_cannot_be_included(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h"
    secret.write_text("int the_secret_word;\n")
    link = tmp_path / "sources" / "link.h"
    link.parent.mkdir()
    link.symlink_to(secret)
    for name in (str(secret), "../secret.h", "/etc/passwd", "link.h"):
        for text in (
            f'#include "{name}"\nint x = y;',
            f'char x[] = {{\n#embed "{name}"\n}};\nint z = y;',
        ):
            with pytest.raises(SourceError) as caught:
                compiled(tmp_path, text)
            assert "the_secret_word" not in str(caught.value)
            assert "root:" not in str(caught.value)


def test_headers_below_the_sources_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "sources" / "include"
    folder.mkdir(parents=True)
    (folder / "own.h").write_text("#define OWN 7\n")
    text = '#include "own.h"\nint own = OWN;'
    assert "i32 7" in text_of(compiled(tmp_path, text, flags=["-Iinclude"]))
    assert "i32 7" in text_of(compiled(tmp_path, text, tree=SourceTree(include=[folder])))


def test_sources_include_from_their_whole_archive(tmp_path: Path) -> None:
    inside = tmp_path / "archive" / "example"
    inside.mkdir(parents=True)
    (tmp_path / "archive" / "own.h").write_text("#define OWN 7\n")
    source = inside / "simple.c"
    source.write_text('#include "../own.h"\nint own = OWN;')
    tree = SourceTree(readable=tmp_path / "archive")
    (code,) = compile_to_bitcode(
        [source], workdir=tmp_path / "work", target=Target(), tree=tree
    )
    assert "i32 7" in text_of(code)


TEMPLATE_BOMB = """
template <int D, long A, long B> struct S {
  static const long v = S<D - 1, A * 2, B>::v + S<D - 1, A * 2 + 1, B>::v;
};
template <long A, long B> struct S<0, A, B> { static const long v = A; };
long x = S<40, 1, 0>::v;
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bomb.cpp", TEMPLATE_BOMB),
        ("self.c", '#include "self.c"\n#include "self.c"\n'),
        (
            "large.c",
            f'#define A(x) x x x x x x x x x x\nchar c[] = {"A(" * 12}"ab"{")" * 12};',
        ),
    ],
)
def test_endless_compilations_are_killed(tmp_path: Path, name: str, text: str) -> None:
    with sooner_than(30), pytest.raises(SourceError) as caught:
        compiled(tmp_path, text, name, control=Control(timeout_s=1.0))
    assert len(str(caught.value)) < 25_000


def test_stopping_ends_the_compiler(tmp_path: Path) -> None:
    started = time.monotonic()
    with sooner_than(30), pytest.raises(Stopped):
        compiled(
            tmp_path,
            TEMPLATE_BOMB,
            "bomb.cpp",
            control=Control(stopped=lambda: time.monotonic() - started > 0.3),
        )


def test_modules_link_and_a_double_definition_is_named(tmp_path: Path) -> None:
    first = compiled(tmp_path, "int g(int); int f(int x) { return g(x) + 1; }")
    second = compiled(tmp_path, "int g(int x) { return 2 * x; }")
    text = text_of(link_bitcode([first, second]))
    assert "define dso_local i32 @f" in text
    assert "define dso_local i32 @g" in text
    with pytest.raises(SourceError, match="symbol multiply defined"):
        link_bitcode([second, second])
