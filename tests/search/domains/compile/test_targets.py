"""Linked programs for other machines: compiled, linked, run by QEMU, and compared there."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from search.domains.compile.builds import unoptimised_objects
from search.domains.compile.encode import prepare
from search.domains.compile.parse.problem import CompileProblem, parse_problem
from search.domains.compile.search import rivals
from search.domains.compile.search.behaviour import BehaviourOracle
from search.pipeline import Finished
from solvers.llvm import install
from solvers.llvm.elf_image import image_sizes
from tests.search.domains.compile.test_domain import archive, refused, run
from trimtab.results import VerificationStatus
from trimtab.specs.common import ArtifactRef
from trimtab.specs.compile import (
    Build,
    CompileSpec,
    CompileTarget,
    Host,
    Image,
    Link,
    Run,
    Sysroot,
)

ARCHIVE = ArtifactRef(digest="sha256:" + "0" * 64, name="program.tar.gz")
PICOLIBC = Sysroot(library="picolibc")
M4 = CompileTarget(triple="thumbv7em-none-eabi", cpu="cortex-m4")
PROGRAM = """#include <stdio.h>
#include <string.h>
static unsigned table[256];
int never_called(int x) { return x * 77 + 5; }
static unsigned crc(const char *s) {
  for (unsigned i = 0; i < 256; i++) {
    unsigned h = i;
    for (int k = 0; k < 8; k++) h = h & 1 ? h >> 1 ^ 0xedb88320u : h >> 1;
    table[i] = h;
  }
  unsigned h = ~0u;
  for (; *s; s++) h = table[(h ^ (unsigned char)*s) & 255] ^ h >> 8;
  return ~h;
}
float scaled(float a, int n) { return a * (float)n / 3.0f; }
int main(int argc, char **argv) {
  char line[32] = "";
  FILE *in = fopen("in.txt", "r");
  if (in) { fgets(line, sizeof line, in); fclose(in); }
  printf("%08x %d %s\\n", crc(argv[argc - 1]), (int)scaled(9.0f, argc), line);
  FILE *out = fopen("out.txt", "w");
  if (out) { fputs("written\\n", out); fclose(out); }
  return (int)strlen(argv[argc - 1]);
}
"""
# (id, target, flags, class of ELF, programs that must be installed with Debian's packages)
BARE: tuple[tuple[str, CompileTarget, tuple[str, ...], int, str, str], ...] = (
    ("m4-soft", M4, (), 1, "qemu-system-arm", "arm-none-eabi-gcc"),
    (
        "m4-hard",
        CompileTarget(triple="thumbv7em-none-eabihf", cpu="cortex-m4"),
        (), 1, "qemu-system-arm", "arm-none-eabi-gcc",
    ),
    (
        "m0",
        CompileTarget(triple="thumbv6m-none-eabi", cpu="cortex-m0"),
        (), 1, "qemu-system-arm", "arm-none-eabi-gcc",
    ),
    (
        "rv32imc",
        CompileTarget(triple="riscv32-unknown-elf"),
        ("-march=rv32imc", "-mabi=ilp32"),
        1, "qemu-system-riscv32", "riscv64-unknown-elf-gcc",
    ),
    (
        "rv64gc",
        CompileTarget(triple="riscv64-unknown-elf"),
        ("-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany"),
        2, "qemu-system-riscv64", "riscv64-unknown-elf-gcc",
    ),
)  # fmt: skip
WHOLE_JOBS = ("m4-soft", "rv32imc")  # of the wheel's LLVM and of Debian's
LINUX = (
    ("aarch64-unknown-linux-gnu", 2, "qemu-aarch64", "/usr/aarch64-linux-gnu/lib/crt1.o"),
    ("i386-unknown-linux-gnu", 1, "qemu-i386", "/usr/lib32/crt1.o"),
    (
        "armv7-unknown-linux-gnueabihf",
        1,
        "qemu-arm",
        "/usr/arm-linux-gnueabihf/lib/crt1.o",
    ),
    ("riscv64-unknown-linux-gnu", 2, "qemu-riscv64", "/usr/riscv64-linux-gnu/lib/crt1.o"),
)


@pytest.fixture(scope="module", autouse=True)
def _few_flags() -> object:
    """One set of plain flags is enough here: the suite is to be quick."""
    patch = pytest.MonkeyPatch()
    patch.setattr(rivals, "PLAIN_SETS", rivals.PLAIN_SETS[:1])
    yield
    patch.undo()


def needed(*programs: str) -> None:
    """Skip with the reason where a program or file is missing; fail under CI."""
    for program in programs:
        present = Path(program).exists() if "/" in program else shutil.which(program)
        if not present:
            reason = f"{program} is missing: run deploy/setup/debian.sh test"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)


def code_for(triple: str) -> None:
    if not install.serves(install.find_llvm(triple), triple):
        needed("/usr/lib/llvm-22/bin/llc")


def files_of(finished: Finished) -> dict[str, Path]:
    return {p.name: p.path for p in finished.produced if hasattr(p, "path")}


def job(folder: Path, **fields: Any) -> Finished:
    spec = CompileSpec(
        **{"source_text": PROGRAM, "language": "c", "image": Image(), **fields}
    )
    inputs = {
        name: folder / reference.name for name, reference in spec.artifacts().items()
    }
    return run(folder, spec, inputs, evaluations=1, seconds=600.0)


def parsed(folder: Path, inputs: dict[str, Path], **fields: Any) -> CompileProblem:
    spec = CompileSpec(image=fields.pop("image", Image()), **fields)
    inputs = inputs or {
        name: folder / reference.name for name, reference in spec.artifacts().items()
    }
    workdir = folder / "work"
    workdir.mkdir()
    return parse_problem(spec, inputs, workdir)


def check_oz(problem: CompileProblem, elf_class: int, *, lto_runs: bool = True) -> Path:
    """Link and run a program at -Oz; return it.

    Searches of a few targets are enough. The user's builds, with LTO too, link and behave the same,
    and what the engine measures is what is linked.
    """
    workdir = problem.workdir
    prepared = prepare(problem)
    with prepared.engine as engine:
        oz = prepared.levels["Oz"]
        code = engine.build(oz.recipe).object
    oracle = BehaviourOracle(problem, folder=workdir / "runs", stopped=lambda: False)
    oracle.record_reference(unoptimised_objects(problem, workdir / "O0"), has_main=True)
    assert not oracle.why_unvalidated
    made = oracle.link(code)
    assert oracle.compare_program(made).equal
    assert made.read_bytes()[4] == elf_class
    builds = {name: row.build.file for name, row in prepared.baselines.items()}
    assert set(builds) == {"clang -Oz, gc", "clang -Oz -flto, gc"}
    for name, program in builds.items():
        runs = lto_runs or "-flto" not in name
        assert oracle.compare_program(program).equal is runs
        assert program.read_bytes()[4] == elf_class
    assert oz.sizes is not None
    assert image_sizes(made.read_bytes()).flash == oz.sizes.loadable_bytes
    return made


def check(finished: Finished, elf_class: int) -> dict[str, Any]:
    """Check an answer's runs, sizes and baselines; return image.json."""
    result, files = finished.result, files_of(finished)
    assert result.verification.status is VerificationStatus.VALID
    assert result.verification.checks["runs_equal"] == "1 of 1"
    rows = {row["level"]: row["flash_bytes"] for row in result.summary["sizes"]}  # type: ignore[union-attr, index]
    assert {"clang -Oz, gc", "clang -Oz -flto, gc", "trimtab"} <= set(rows)
    assert rows["trimtab"] == min(rows[name] for name in rows if name != "gcc -Os, gc")
    program = files["image.elf"].read_bytes()
    assert program[4] == elf_class
    assert rows["trimtab"] == image_sizes(program).flash
    assert "never_called" not in files["image.map"].read_text()
    figures = json.loads(files["image.json"].read_text())
    assert 0 < figures["library"]["flash_bytes"] < rows["trimtab"]
    return dict(figures)


@pytest.mark.parametrize(
    ("target", "flags", "elf_class", "emulator", "gcc"),
    [row[1:] for row in BARE if row[0] in WHOLE_JOBS],
    ids=WHOLE_JOBS,
)
def test_firmware_is_linked_with_picolibc_and_runs_on_a_board(
    tmp_path: Path,
    target: CompileTarget,
    flags: tuple[str, ...],
    elf_class: int,
    emulator: str,
    gcc: str,
) -> None:
    code_for(target.triple)
    needed(emulator, gcc)
    (tmp_path / "in.txt").write_text("from a file")
    given = ArtifactRef(digest="sha256:" + "1" * 64, name="in.txt")
    runs = (Run(arguments=("abc",), files=(given,), expected_exit=3),)
    finished = job(
        tmp_path, target=target, sysroot=PICOLIBC, build=Build(flags=flags), runs=runs
    )
    figures = check(finished, elf_class)
    assert figures["library"]["name"].startswith("picolibc")
    assert any("libc.a(" in name for name in figures["library"]["objects"])
    used, length = figures["regions"]["flash"].values()
    assert 0 < used <= length
    assert "gcc -Os, gc" in figures["builds"]
    assert finished.result.summary["llvm"] == install.find_llvm(target.triple).build_id
    notes = finished.result.summary["notes"]
    assert any("programs run by qemu-system" in note for note in notes)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("target", "flags", "elf_class", "emulator", "gcc"),
    [row[1:] for row in BARE if row[0] not in WHOLE_JOBS],
    ids=[row[0] for row in BARE if row[0] not in WHOLE_JOBS],
)
def test_every_board_runs_its_firmware(
    tmp_path: Path,
    target: CompileTarget,
    flags: tuple[str, ...],
    elf_class: int,
    emulator: str,
    gcc: str,
) -> None:
    code_for(target.triple)
    needed(emulator, gcc)
    (tmp_path / "in.txt").write_text("from a file")
    given = ArtifactRef(digest="sha256:" + "1" * 64, name="in.txt")
    runs = (Run(arguments=("abc",), files=(given,), expected_exit=3),)
    problem = parsed(
        tmp_path,
        {},
        source_text=PROGRAM,
        language="c",
        target=target,
        sysroot=PICOLIBC,
        build=Build(flags=flags),
        runs=runs,
    )
    check_oz(problem, elf_class)
    assert problem.library is not None
    assert problem.library.name.startswith("picolibc")
    assert problem.runner.name.startswith("qemu-system")


@pytest.mark.parametrize(
    ("triple", "elf_class", "emulator", "start"), LINUX, ids=[row[0] for row in LINUX]
)
def test_a_program_of_another_linux_runs_in_user_mode(
    tmp_path: Path, triple: str, elf_class: int, emulator: str, start: str
) -> None:
    code_for(triple)
    needed(emulator, start)
    runs = (Run(arguments=("abc",), expected_stdout="352441c2 6 \n", expected_exit=3),)
    target = CompileTarget(triple=triple)
    problem = parsed(
        tmp_path, {}, source_text=PROGRAM, language="c", target=target, runs=runs
    )
    check_oz(problem, elf_class)


def test_objects_for_another_machine_are_run_too(tmp_path: Path) -> None:
    needed("qemu-system-arm", "arm-none-eabi-gcc")
    runs = (Run(arguments=("abc",), expected_exit=3),)
    finished = job(
        tmp_path, target=M4, sysroot=PICOLIBC, image=None, per_function=False, runs=runs
    )
    assert finished.result.verification.status is VerificationStatus.VALID
    assert finished.result.verification.checks["runs_equal"] == "1 of 1"


SYSTICK = """#include <stdint.h>
extern uint32_t _stack, _data, _edata, _source;
int main(void);
static volatile unsigned ticks;
static int call(int number, const void *block) {
  register int r0 __asm__("r0") = number; register const void *r1 __asm__("r1") = block;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory"); return r0;
}
void SysTick_Handler(void) { ticks++; }
void unused_handler(void) { ticks += 77; }
void Reset_Handler(void) {
  for (uint32_t *to = &_data, *from = &_source; to < &_edata;) *to++ = *from++;
  uint32_t end[2] = {0x20026, main()};
  call(0x20, end);
  for (;;) ;
}
int main(void) {
  *(volatile uint32_t *)0xE000E014 = 9999; *(volatile uint32_t *)0xE000E018 = 0;
  *(volatile uint32_t *)0xE000E010 = 7;
  while (ticks < 5) __asm__ volatile("wfi");
  call(4, "five ticks\\n");
  return 5;
}
__attribute__((section(".vectors"))) const void *vectors[16] = {
  &_stack, Reset_Handler, [15] = SysTick_Handler };
"""
SYSTICK_SCRIPT = """ENTRY(Reset_Handler)
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = %s
         RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 64K }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } >FLASH
  .data : { _data = .; *(.data*) . = ALIGN(4); _edata = .; } >RAM AT>FLASH
  _source = LOADADDR(.data);
  .bss : { *(.bss*) *(COMMON) } >RAM
  _stack = ORIGIN(RAM) + LENGTH(RAM);
}
"""


def firmware(folder: Path, length: str = "4K", **files: str) -> dict[str, Path]:
    texts = {"main.c": SYSTICK, "link.ld": SYSTICK_SCRIPT % length}
    texts |= {name.replace("__", "."): text for name, text in files.items()}
    return {"source": archive(folder, texts)}


def test_an_interrupt_keeps_its_handler(tmp_path: Path) -> None:
    """Without its handler the program waits for ever: five ticks of SysTick end it."""
    needed("qemu-system-arm")
    runs = (Run(expected_stdout="five ticks\n", expected_exit=5),)
    image = Image(script="link.ld")
    problem = parsed(
        tmp_path, firmware(tmp_path), source=ARCHIVE, target=M4, image=image, runs=runs
    )
    # Clang's own LTO drops the vector table, to which nothing refers.
    program = check_oz(problem, 1, lto_runs=False)
    linked = program.with_name("image.map").read_text()
    assert "SysTick_Handler" in linked
    assert "unused_handler" not in linked
    assert problem.library is None


def test_a_program_that_never_ends_is_killed_by_its_limit(tmp_path: Path) -> None:
    needed("qemu-system-arm")
    endless = SYSTICK.replace("ticks < 5", "1")
    spec = CompileSpec(
        source=ARCHIVE,
        target=M4,
        image=Image(script="link.ld"),
        runs=(Run(timeout_seconds=2.0),),
    )
    text = refused(tmp_path, spec, firmware(tmp_path, main__c=endless))
    assert "the unoptimised program did not end within 2 s" in text
    assert not subprocess.run(
        ["pgrep", "-f", str(tmp_path)], capture_output=True, check=False
    ).stdout


def test_a_region_that_overflows_is_reported_in_the_linkers_words(tmp_path: Path) -> None:
    """A whole job of such a program is among the tests of images."""
    image = Image(script="link.ld")
    problem = parsed(
        tmp_path, firmware(tmp_path, "96"), source=ARCHIVE, target=M4, image=image
    )
    prepared = prepare(problem)
    prepared.engine.close()
    sizes = prepared.levels["Oz"].sizes
    assert sizes is not None
    assert sizes.beyond_bytes > 0
    for row in prepared.baselines.values():
        assert "will not fit in region 'FLASH'" in row.build.overflow
        assert row.sizes.beyond_bytes > 0


def test_picolibc_is_linked_in_the_variant_that_the_program_names(tmp_path: Path) -> None:
    code_for("riscv32-unknown-elf")
    needed("riscv64-unknown-elf-gcc")
    problem = parsed(
        tmp_path,
        {},
        source_text='#include <stdio.h>\nint main(void) { return printf("%d", 7); }',
        language="c",
        target=CompileTarget(triple="riscv32-unknown-elf"),
        sysroot=PICOLIBC,
        build=Build(
            defines=("PICOLIBC_INTEGER_PRINTF_SCANF",),
            flags=("-march=rv32imc", "-mabi=ilp32"),
        ),
        link=Link(libraries=("m",)),
        runs=(Run(),),
    )
    assert problem.image is not None
    words = problem.image.answer_line.words
    assert "--defsym=vfprintf=__i_vfprintf" in words
    assert "-lm" not in words  # it is a part of libc.a, and an empty libm.a does not link
    # The library's start code sets gp.
    assert "--relax-gp" in words
    assert "--relax-gp" not in problem.image.line.words


HARD_IR = (
    'target triple = "thumbv7em-none-unknown-eabihf"\n'
    "define float @half(float %x) { ret float %x }\n"
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sysroot": None}, r"'stdio\.h' file not found[\s\S]*sysroot\.library picolibc"),
        (
            {"sysroot": Sysroot(library="newlib")},
            r"image\.script: expected a linker script with sysroot\.library newlib",
        ),
        (
            {"sysroot": Sysroot(library="picolibc", host=Host.NONE)},
            r"undefined symbol: std",
        ),
        (
            {"target": CompileTarget(triple=M4.triple, cpu=M4.cpu, board="microbit")},
            r"target\.board: expected a board that runs code for .* got microbit",
        ),
        (
            {"target": CompileTarget(), "sysroot": PICOLIBC},
            r"sysroot: expected a target without an operating system",
        ),
        (
            {"target": CompileTarget(board="virt-rv32"), "sysroot": None},
            r"target\.board: expected none for x86_64",
        ),
        ({"runs": (Run(stdin="x"),)}, r"runs\[0\]\.stdin: expected none .*runs\[0\]\.files"),
        ({"runs": (Run(arguments=("a b",)),)}, r"runs\[0\]\.arguments: expected words"),
        (
            {"target": CompileTarget(triple="riscv32-unknown-linux-gnu"), "sysroot": None,
             "source_text": "int main(void) { return 0; }"},
            r"no C library to link programs for riscv32-unknown-linux-gnu",
        ),
        ({"target": CompileTarget(triple="pdp11-dec-none")}, r"it has .*x86-64"),
    ],
    ids=[
        "no headers", "newlib alone", "no host", "board", "hosted", "hosted board", "stdin",
        "argument", "no linux", "unknown",
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_remedy(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    needed("qemu-system-arm", "arm-none-eabi-gcc")
    spec = CompileSpec(
        **{
            "source_text": PROGRAM,
            "language": "c",
            "target": M4,
            "sysroot": PICOLIBC,
            "image": Image(),
            **fields,
        }
    )
    text = refused(tmp_path, spec)
    assert re.search(message, text), text


def test_float_abis_that_disagree_are_refused_by_name(tmp_path: Path) -> None:
    """lld links them without a word; the numbers would be wrong."""
    spec = CompileSpec(
        source=ARCHIVE,
        target=M4,
        image=Image(script="link.ld"),
        build=Build(files=("main.c", "half.ll")),
    )
    text = refused(tmp_path, spec, firmware(tmp_path, half__ll=HARD_IR))
    assert re.search(r"half\.ll: expected IR for thumbv7em.*eabi, got .*eabihf", text)
    clang = install.find_llvm().tools
    assert clang is not None
    (tmp_path / "half.ll").write_text(HARD_IR)
    subprocess.run(
        [
            clang / "llc", "-filetype=obj", "-float-abi=hard", "-mcpu=cortex-m4",
            tmp_path / "half.ll", "-o", tmp_path / "half.o",
        ],
        check=True,
    )  # fmt: skip
    linked = CompileSpec(
        source=ARCHIVE,
        target=M4,
        image=Image(script="link.ld"),
        link={"objects": [ArtifactRef(digest="sha256:" + "2" * 64, name="half.o")]},
    )
    inputs = {**firmware(tmp_path), "object_0": tmp_path / "half.o"}
    text = refused(tmp_path / "second", linked, inputs)
    assert "half.o: expected an object with the float ABI of the program (soft)" in text


def test_an_uploaded_sysroot_is_linked_as_it_is(tmp_path: Path) -> None:
    needed("qemu-system-arm", "arm-none-eabi-gcc")
    (tmp_path / "half.c").write_text("int half(int x) { return x / 2; }\n")
    subprocess.run(
        ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-Os", "-c", "half.c"],
        cwd=tmp_path,
        check=True,
    )
    subprocess.run(
        ["arm-none-eabi-ar", "rcs", "libhalf.a", "half.o"], cwd=tmp_path, check=True
    )
    shutil.rmtree(tmp_path / "root", ignore_errors=True)
    for name, file in (("include/half.h", ""), ("lib/libhalf.a", "libhalf.a")):
        place = tmp_path / "root" / name
        place.parent.mkdir(parents=True)
        place.write_bytes((tmp_path / file).read_bytes() if file else b"int half(int);\n")
    packed = shutil.make_archive(str(tmp_path / "sysroot"), "gztar", tmp_path / "root")
    text = SYSTICK.replace("return 5", "return half(10)").replace(
        "#include <stdint.h>", "#include <stdint.h>\n#include <half.h>"
    )
    reference = ArtifactRef(digest="sha256:" + "3" * 64, name="sysroot.tar.gz")
    spec = CompileSpec(
        source=ARCHIVE,
        target=M4,
        sysroot=Sysroot(archive=reference),
        image=Image(script="link.ld", plain_flags=False),
        runs=(Run(expected_exit=5),),
    )
    inputs = {**firmware(tmp_path, main__c=text), "sysroot": Path(packed)}
    finished = run(tmp_path, spec, inputs, evaluations=1, seconds=600.0)
    assert finished.result.verification.checks["runs_equal"] == "1 of 1"
    figures = json.loads(files_of(finished)["image.json"].read_text())
    assert figures["library"]["objects"].keys() == {"libhalf.a(half.o)"}
    assert figures["regions"]["FLASH"]["length_bytes"] == 4096


def test_a_sysroot_archive_is_hostile_until_unpacked(tmp_path: Path) -> None:
    packed = tmp_path / "bad.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        member = tarfile.TarInfo("../../outside.h")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    reference = ArtifactRef(digest="sha256:" + "3" * 64, name="bad.tar.gz")
    spec = CompileSpec(
        source=ARCHIVE,
        target=M4,
        sysroot=Sysroot(archive=reference),
        image=Image(script="link.ld"),
    )
    text = refused(tmp_path, spec, {**firmware(tmp_path), "sysroot": packed})
    assert "outside.h" in text
    assert not (tmp_path.parent / "outside.h").exists()
    (tmp_path / "empty").mkdir()
    empty = archive(tmp_path / "empty", {"a/b.txt": "x"})
    text = refused(tmp_path / "second", spec, {**firmware(tmp_path), "sysroot": empty})
    assert "sysroot.archive: expected folders `include` and `lib`" in text


def test_no_name_of_a_folder_reaches_the_program(tmp_path: Path) -> None:
    """Programs that print their name and folder behave the same in all runs."""
    source = (
        "#include <stdio.h>\n#include <unistd.h>\n"
        "int main(int n, char **v) { char b[999]; puts(v[0]); puts(getcwd(b, 999)); return n; }\n"
    )
    runs = (Run(expected_exit=1),)
    finished = job(
        tmp_path, source_text=source, image=None, per_function=False, runs=runs
    )
    assert finished.result.verification.checks["runs_equal"] == "1 of 1"
