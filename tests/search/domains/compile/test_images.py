"""Linked programs end to end: what is kept, what is compared, and bad input."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from search.domains.compile.search import rivals
from search.pipeline import Finished
from search.types import Produced
from solvers.llvm import install
from solvers.llvm.elf_image import image_sizes
from tests.search.domains.compile.test_domain import REFERENCE, archive, refused, run
from trimtab.errors import SpecError
from trimtab.results import VerificationStatus
from trimtab.specs.common import ArtifactRef
from trimtab.specs.compile import (
    Build,
    CompileSpec,
    CompileTarget,
    Icf,
    Image,
    Language,
    Objective,
    Run,
)

ARCHIVE = ArtifactRef(digest="sha256:" + "0" * 64, name="program.tar.gz")
MAIN = """#include <stdio.h>
#include <stdlib.h>
unsigned crc(const char *s);
int from_assembly(int x);
void handler(void) { puts("handled"); }
int main(int argc, char **argv) {
  if (argc > 2) handler();
  printf("%08x %d\\n", crc(argc > 1 ? argv[1] : "abc"), from_assembly(20));
  return 0;
}
"""
CRC = """static unsigned table[256];
int never_called(int x) { return x * 77 + 5; }
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
int twice(int x) { return 2 * x; }
"""
ASSEMBLY = """#define FACTOR 2
  .globl from_assembly
  .section .text.from_assembly,"ax",@progbits
from_assembly:
  addl $FACTOR, %edi
  jmp twice@PLT
  .section .note.GNU-stack,"",@progbits
"""
FILES = {"p/src/main.c": MAIN, "p/src/crc.c": CRC, "p/src/start.S": ASSEMBLY}
BARE = CompileTarget(triple="thumbv7em-none-eabi", cpu="cortex-m4")
SCRIPT = """MEMORY {
  FLASH (rx) : ORIGIN = 0x8000000, LENGTH = %s
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 1K
}
ENTRY(reset)
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } >FLASH
  .data : { *(.data*) } >RAM AT>FLASH
  .bss : { *(.bss*) *(COMMON) } >RAM
}
"""
FIRMWARE = """
volatile unsigned ticks; static unsigned char log_[64];
void tick(void) { log_[ticks++ & 63] = ticks; }
unsigned unused(unsigned x) { return x % 1000u / 7u; }
static unsigned mix(unsigned h, unsigned v) { return (h ^ v * 2654435761u) * 5u; }
void reset(void) { unsigned h = 1; for (;;) h = mix(h, ticks) + log_[h & 63]; }
__attribute__((section(".vectors"))) void (*const vectors[])(void) = {reset, tick};
"""


@pytest.fixture(scope="module", autouse=True)
def _few_flags() -> object:
    """One set of plain flags is enough here: the suite is to be quick."""
    patch = pytest.MonkeyPatch()
    patch.setattr(rivals, "PLAIN_SETS", rivals.PLAIN_SETS[:1])
    yield
    patch.undo()


def paths_of(finished: Finished) -> dict[str, Path]:
    return {p.name: p.path for p in finished.produced if isinstance(p, Produced)}


def test_a_program_is_linked_compared_and_run(tmp_path: Path) -> None:
    runs = (Run(arguments=("x",)), Run(arguments=("x", "y")))
    spec = CompileSpec(
        source=ARCHIVE, image=Image(keep=("hand*",), icf=Icf.SAFE), runs=runs
    )
    finished = run(
        tmp_path, spec, {"source": archive(tmp_path, FILES)}, evaluations=6, seconds=240.0
    )
    result, files = (
        finished.result,
        {p.name: p.path for p in finished.produced if hasattr(p, "path")},
    )
    assert result.verification.status is VerificationStatus.VALID
    assert result.verification.checks["runs_equal"] == "2 of 2"
    assert result.verification.checks["linked_again"] == "the same program"
    rows = {row["level"]: row for row in result.summary["sizes"]}  # type: ignore[union-attr, index]
    assert {"clang -Oz", "clang -Oz, gc", "clang -Oz -flto, gc", "trimtab"} <= set(rows)
    assert result.objective == rows["trimtab"]["flash_bytes"]
    assert all(result.objective <= row["flash_bytes"] for row in rows.values())
    assert result.objective == image_sizes(files["image.elf"].read_bytes()).flash
    figures = json.loads(files["image.json"].read_text())
    assert figures["kept"] == {
        "main": "entry point", "twice": "prebuilt object", "handler": "your list"
    }  # fmt: skip
    done = subprocess.run(
        [files["image.elf"], "x"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "2d02ef8d 44\n" or done.stdout.endswith(" 44\n")
    assert " handler" in files["image.map"].read_text()
    assert "never_called" not in files["image.map"].read_text()


CALLS = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static int compare(const void *a, const void *b) { return strcmp(a, b); }
int main(int argc, char **argv) {
  char words[4][8] = {"one", "two", "three", "four"};
  qsort(words, 4, 8, compare);
  srand((unsigned)time(0) * 0u + 7u);
  for (int i = 0; i < 4; i++) printf("%s %d\\n", words[i], atoi("12") + argc);
  return abs(rand()) < 0;
}
"""


def test_pasted_flags_make_the_same_program(tmp_path: Path) -> None:
    """flags.txt is true of clang itself, which is run here on the source with these flags alone."""
    clang = shutil.which(f"clang-{install.find_llvm().version.split('.')[0]}")
    if clang is None:
        pytest.skip("needs Debian's clang: the wheel's does not link by itself")
    spec = CompileSpec(source_text=CALLS, language=Language.C, image=Image())
    finished = run(tmp_path, spec, evaluations=2, seconds=400.0)
    assert finished.result.verification.status is VerificationStatus.VALID
    figures = json.loads(paths_of(finished)["image.json"].read_text())
    flags = figures["plain_flags"]
    assert "-fno-plt" in flags["cflags"]
    ours, lto = (
        figures["builds"][name]["sections"][".plt"]
        for name in ("trimtab", "clang -Oz -flto, gc")
    )
    assert ours < lto, "the start files' own call is left"
    source, program = tmp_path / "calls.c", tmp_path / "calls"
    source.write_text(CALLS)
    unit = tmp_path / "calls.o"
    subprocess.run(
        [clang, *shlex.split(flags["cflags"]), "-c", source, "-o", unit], check=True
    )
    subprocess.run(
        [
            clang,
            *shlex.split(flags["cflags"] + " " + flags["ldflags"]),
            "-Wl,--build-id=none",  # a default of Debian's clang, not of the wheel's
            unit,
            "-o",
            program,
        ],
        check=True,
    )
    assert image_sizes(program.read_bytes()).flash == flags["flash_bytes"]


def test_a_firmware_keeps_its_vectors_and_fits(tmp_path: Path) -> None:
    image = Image(script="f/link.ld", ram_weight=0.5)
    spec = CompileSpec(source=ARCHIVE, target=BARE, image=image)
    source = archive(tmp_path, {"f/main.c": FIRMWARE, "f/link.ld": SCRIPT % "2K"})
    finished = run(tmp_path, spec, {"source": source}, evaluations=4, seconds=240.0)
    result, files = (
        finished.result,
        {p.name: p.path for p in finished.produced if hasattr(p, "path")},
    )
    assert result.verification.status is VerificationStatus.VALID
    assert result.summary["fits"] is True
    assert result.summary["kept"] == {
        "reset": "linker script",
        "vectors": "section that the linker script keeps",
    }
    sizes = image_sizes(files["image.elf"].read_bytes())
    assert result.objective == round(sizes.flash + 0.5 * sizes.ram)


def test_a_program_that_never_fits_says_so_in_the_linkers_words(tmp_path: Path) -> None:
    spec = CompileSpec(source=ARCHIVE, target=BARE, image=Image(script="link.ld"))
    source = archive(tmp_path, {"main.c": FIRMWARE, "link.ld": SCRIPT % "16"})
    result = run(tmp_path, spec, {"source": source}, evaluations=2, seconds=240.0).result
    assert result.summary["fits"] is False
    assert "will not fit in region 'FLASH'" in str(result.summary["overflow"])


@pytest.mark.parametrize(
    ("files", "spec", "message"),
    [
        ({"a.c": "int f(void); int main(void) { return f(); }"}, {}, "undefined symbol: f"),
        (
            {"a.c": "int f(void) { return 1; } int main(void) { return f(); }",
             "b.c": "int f(void) { return 2; }"},
            {},
            "symbol multiply defined",
        ),
        (
            {"a.c": "int main(void) { return 0; }"},
            {"image": Image(keep=("main", "isr_*"))},
            r"image\.keep\[1\]: expected a symbol that the program defines, got 'isr_\*'",
        ),
        (
            {"a.c": "int main(void) { return 0; }",
             "b.ll": 'target triple = "armv7-none-eabi"\ndefine void @g() { ret void }'},
            {"build": Build(files=("a.c", "b.ll"))},
            r"b\.ll: expected IR for x86_64-unknown-linux-gnu, got IR for armv7-none-eabi",
        ),
        (
            {"a.c": "int main(void) { return 0; }"},
            {"image": Image(script="missing.ld")},
            r"image\.script: expected a file of the archive, got 'missing\.ld'",
        ),
        (
            {"a.c": "int main(void) { return 0; }", "s.S": "  .globl x\n  mov nonsense\n"},
            {},
            r"s\.S does not assemble",
        ),
        ({"a.c": "int f(void) { return 0; }"}, {}, "expected a program with `main`"),
    ],
    ids=["undefined", "duplicate", "keep", "mixed", "no script", "assembly", "no entry"],
)  # fmt: skip
def test_bad_programs_are_refused_in_the_tools_words(
    tmp_path: Path, files: dict[str, str], spec: dict[str, object], message: str
) -> None:
    fields = {"source": ARCHIVE, "image": Image(), **spec}
    text = refused(tmp_path, CompileSpec(**fields), {"source": archive(tmp_path, files)})  # type: ignore[arg-type]
    assert re.search(message, text), text


def test_ir_of_another_llvm_is_refused_by_its_readers_message(tmp_path: Path) -> None:
    broken = tmp_path / "other.bc"
    broken.write_bytes(b"BC\xc0\xde" + bytes(64))
    spec = CompileSpec(
        source=ArtifactRef(digest=REFERENCE.digest, name="x.bc"), image=Image()
    )
    assert "x.bc: this LLVM cannot read the module: " in refused(
        tmp_path, spec, {"source": broken}
    )


def test_a_program_that_replaces_a_library_function_keeps_it(tmp_path: Path) -> None:
    text = """#include <stdio.h>
    #include <stddef.h>
    static char pool[4096]; static size_t used;
    void *malloc(size_t n) { void *p = pool + used; used += (n + 15) & ~15ul; return p; }
    void free(void *p) {}
    int main(void) { char *p = malloc(3); p[0] = 'x'; puts(used < 4096 ? "own" : "no"); return 0; }
    """
    spec = CompileSpec(source_text=text, language="c", image=Image(plain_flags=False))
    result = run(tmp_path, spec, evaluations=1, seconds=240.0).result
    assert result.verification.checks["runs_equal"] == "1 of 1"
    assert set(result.summary["kept"]) == {"main", "malloc", "free"}  # type: ignore[arg-type]


def test_fields_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SpecError, match="objective: expected loadable_bytes or code"):
        CompileSpec(source_text="x", image=Image(), objective=Objective.IR_INSTRUCTIONS)
    with pytest.raises(SpecError, match="expected at least one above 0"):
        Image(flash_weight=0)
    with pytest.raises(SpecError, match="shared: expected neither"):
        Image(shared=True, entry="main")
