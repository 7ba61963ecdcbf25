"""Compiler wrapper: what command lines do, what objects carry, and a build by Make."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.flash import read_usage
from trimtab.wrapper import link
from trimtab.wrapper.clang import find_clang, with_linker
from trimtab.wrapper.command import (
    BUILD,
    COMPILE,
    LINK,
    OTHER,
    Command,
    Input,
    read_command,
    values,
    without_outputs,
)
from trimtab.wrapper.job import NoAnswer, archive_of
from trimtab.wrapper.response import split_words
from trimtab.wrapper.sections import carried_ir

MAIN = """#include <stdio.h>
unsigned crc(const char *s);
int main(int argc, char **argv) {
  printf("%08x\\n", crc(argc > 1 ? argv[1] : "abc"));
  return 0;
}
"""
CRC = """static unsigned table[256];
int never_called(int x) { return x * 77; }
unsigned crc(const char *s) {
  for (unsigned i = 0; i < 256; i++) {
    unsigned h = i;
    for (int k = 0; k < 8; k++) h = h & 1 ? h >> 1 ^ 0xedb88320u : h >> 1;
    table[i] = h;
  }
  unsigned h = ~0u;
  for (; *s; s++) h = table[(h ^ (unsigned char)*s) & 255] ^ h >> 8;
  return ~h;
}
"""
TABLE = """#include <stdio.h>
struct device { const char *name; int number; };
extern const struct device __start_devices[], __stop_devices[];
int main(void) {
  int sum = 0;
  for (const struct device *d = __start_devices; d != __stop_devices; d++) sum += d->number;
  printf("%d of %d\\n", sum, (int)(__stop_devices - __start_devices));
  return 0;
}
"""
DEVICE = """struct device { const char *name; int number; };
__attribute__((used, retain, section("devices"))) static const struct device first = {"a", 3};
__attribute__((used, section("devices"))) static const struct device second = {"b", 4};
"""
MAKEFILE = "CFLAGS = -Oz\nprog: main.o crc.o\n\t$(CC) -o $@ $^ -lm\n"


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("-Oz -c a.c -o a.o", COMPILE),
        ("-c -I inc -D X=1 -MD -MF a.d a.cpp", COMPILE),
        ("-c start.S -o start.o", OTHER),
        ("-E a.c", OTHER),
        ("-M a.c", OTHER),
        ("-v", OTHER),
        ("--version", OTHER),
        ("-print-file-name=libc.a", OTHER),
        ("-c -flto a.c", OTHER),
        ("a.c -o prog", BUILD),
        ("a.c b.o -lm", BUILD),
        ("-c -x c - -o a.o", COMPILE),
        ("-x c - -o prog", OTHER),
        ("-c a.c -o /dev/null", OTHER),
        ("-c a.c b.cpp", COMPILE),
        ("-c a.c start.S", COMPILE),
        ("-c -x assembler a.c", OTHER),
        ("-c a.h", OTHER),
        ("-c -fsanitize=address a.c", OTHER),
        ("-flto a.c -o prog", OTHER),
        ("-flto a.o -o prog", LINK),
        ("a.o -o prog", LINK),
        ("-shared a.o -o lib.so -Wl,--version-script,v.map", LINK),
        ("-o out -- -odd.o", LINK),
        ("a.o b.o -o prog -lm -Wl,--gc-sections", LINK),
        ("-T link.ld -o fw.elf a.o lib.a -Wl,-Map=fw.map", LINK),
        ("-r a.o b.o -o c.o", OTHER),
        ("-o CMakeFiles/CMakeTmp/cmTC_1 a.o", OTHER),
        ("conftest.o -o conftest", OTHER),
    ],
)
def test_command_lines_are_told_apart(line: str, action: str, tmp_path: Path) -> None:
    assert read_command(line.split(), str(tmp_path)).action == action


def test_response_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "rest").write_text("a.o 'b c.o' -o prog")
    command = read_command([f"@{tmp_path}/rest", "-lm"], str(tmp_path))
    assert command.action == LINK
    assert [file.name for file in command.files] == ["a.o", "b c.o"]
    assert command.out == "prog"


def test_response_files_are_split_as_clang_does(tmp_path: Path) -> None:
    text = '\'a\\\'b.o\' "c d.o" e\\ f.o #g.o\n-DX="\\"y\\"" \'\''
    assert split_words(text) == ["a'b.o", "c d.o", "e f.o", "#g.o", '-DX="y"', ""]


def test_the_files_that_a_link_writes_are_left_out() -> None:
    words = (
        "a.o -o p -Wl,-Map=m,--gc-sections -Xlinker -Map -Xlinker m -Wl,-Map,m -MD -lm"
    )
    assert without_outputs(words.split()) == ["a.o", "-Wl,--gc-sections", "-lm"]
    words = "a.o -Wl,--dependency-file=d -ofile -Xlinker --icf=all -MF d"
    assert without_outputs(words.split()) == ["a.o", "-Xlinker", "--icf=all"]


def test_options_of_the_linker_are_found_in_every_form() -> None:
    words = ["-T", "a.ld", "-Wl,-T,b.ld", "-Wl,--entry=go", "-Lx", "-L", "y", "-u", "isr"]
    assert values(words, "-T") == ["a.ld", "b.ld"]
    assert values(words, "--entry") == ["go"]
    assert values(words, "-L") == ["x", "y"]
    assert values(words, "-u") == ["isr"]


def project(folder: Path) -> Path:
    folder.mkdir()
    for name, text in (("main.c", MAIN), ("crc.c", CRC), ("Makefile", MAKEFILE)):
        (folder / name).write_text(text)
    return folder


def make(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-s", "-j2", f"CC={sys.executable} -m trimtab.cli cc"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def run(program: Path, *arguments: str) -> str:
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIMTAB_CC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRIMTAB_URL", raising=False)
    return tmp_path / "cache"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_builds_a_smaller_program_and_again_from_the_cache(
    tmp_path: Path, cache: Path
) -> None:
    plain = project(tmp_path / "plain")
    make(plain, TRIMTAB_CC_SECONDS="0")
    ir = carried_ir((plain / "crc.o").read_bytes())
    assert ir is not None
    assert ir.startswith(b"BC")
    small = project(tmp_path / "small")
    said = make(small, TRIMTAB_CC_SECONDS="120").stderr
    assert "bytes of flash instead of" in said, said
    before, after = (read_usage((f / "prog").read_bytes()) for f in (plain, small))
    assert after.flash < before.flash
    assert run(small / "prog", "hello") == run(plain / "prog", "hello") == "3610a686\n"
    again = project(tmp_path / "again")
    assert "optimising" not in make(again, TRIMTAB_CC_SECONDS="120").stderr
    assert (again / "prog").read_bytes() == (small / "prog").read_bytes()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_statics_that_only_their_section_gathers_stay(
    tmp_path: Path, cache: Path
) -> None:
    folder = project(tmp_path / "p")
    (folder / "main.c").write_text(TABLE)
    (folder / "crc.c").write_text(DEVICE)
    said = make(folder, TRIMTAB_CC_SECONDS="120", TRIMTAB_CC_EVALUATIONS="1").stderr
    assert "bytes of flash instead of" in said, said
    assert run(folder / "prog") == "7 of 2\n"


def test_the_users_program_stays_when_the_job_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NoAnswer("undefined symbol: f", final=True)

    monkeypatch.setattr("trimtab.wrapper.job.optimised_object", refuse)
    folder = project(tmp_path / "p")
    make(folder, TRIMTAB_CC_SECONDS="0")
    names = tuple(str(folder / name) for name in ("main.o", "crc.o"))
    out = str(folder / "prog")
    files = [Input(2 + i, name, "file", "") for i, name in enumerate(names)]
    command = Command(LINK, ("-o", out, *names), files, out)
    for _ in range(2):  # the second time from the cache
        with pytest.raises(link.Leave, match="undefined symbol: f"):
            link.improve(command, find_clang(cxx=False), seconds=5)
    assert run(folder / "prog") == run(folder / "prog")
    assert len(list(cache.glob("*.why"))) == 1


def test_the_path_of_a_compilation_imports_nothing_slow() -> None:
    code = "import sys; import trimtab.wrapper.main as m; m._run(['true'])"
    folder = Path(__file__).parents[3]
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path[:0] = [{str(folder)!r}]; {code}; print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    slow = {"dataclasses", "inspect", "subprocess", "pathlib", "pydantic", "typer"}
    slow |= {"typing", "enum", "re", "collections", "contextlib"}
    assert not slow & set(done.stdout.split())


def test_archives_repeat_to_the_byte() -> None:
    assert archive_of({"b": b"2", "a": b"1"}) == archive_of({"a": b"1", "b": b"2"})


def test_objects_without_ir_carry_none() -> None:
    assert carried_ir(b"\x7fELF" + bytes(60)) is None
    assert carried_ir(b"") is None


@pytest.mark.parametrize("path", ["/nowhere", "/usr/bin:/bin"])
def test_the_wheels_clang_is_told_where_lld_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It finds `ld.lld` neither beside itself nor on PATH, where Debian's has a number."""
    zig = next(
        (
            Path(p) / "ziglang/zig"
            for p in sys.path
            if (Path(p) / "ziglang/zig").is_file()
        ),
        None,
    )
    if zig is None or shutil.which("ld.lld"):
        pytest.skip("needs the wheel ziglang and no ld.lld on PATH")
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("TRIMTAB_CC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRIMTAB_CLANG", raising=False)
    clang = [str(zig), "clang", "-target", "x86_64-linux-gnu"]
    assert with_linker(clang, ["a.o"]) == clang
    assert with_linker(["/usr/bin/clang"], ["-fuse-ld=lld"]) == ["/usr/bin/clang"]
    words = with_linker(clang, ["-fuse-ld=lld", "a.o"])
    (tmp_path / "a.c").write_text("int main(void) { return 3; }\n")
    done = subprocess.run(
        [*words, "-fuse-ld=lld", "a.c", "-o", "a"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert subprocess.run([tmp_path / "a"], check=False).returncode == 3
