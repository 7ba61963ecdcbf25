"""Programs without an operating system that nothing was mined or tuned on: for linked images.

Each is a public library or program of a Debian source package, held out or not in the corpus of
training. Where the package has no small program of its own, a `main` in this folder uses it. They
are linked with picolibc and run on a board that QEMU emulates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workers.corpus.images import PROGRAMS as HOSTED
from workers.corpus.whole import Whole

_FOLDER = Path(__file__).parent
_INTEGERS_ALONE = "PICOLIBC_INTEGER_PRINTF_SCANF"  # of picolibc: printf without %f
_MBEDTLS = {
    "include": [".", "include", "library"],
    "defines": ['MBEDTLS_CONFIG_FILE="corpus.h"'],
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A target with what a user gives beside it."""

    target: Mapping[str, str]
    flags: tuple[str, ...] = ()

    def spec_fields(self, program: Whole) -> dict[str, Any]:
        """Return the fields of a spec that build the program for the machine with picolibc."""
        build = {**program.build, "flags": [*program.build.get("flags", ()), *self.flags]}
        return {
            "target": dict(self.target),
            "sysroot": {"library": "picolibc"},
            "build": build,
        }


MACHINES: Mapping[str, Machine] = {
    "cortex-m4": Machine(target={"triple": "thumbv7em-none-eabi", "cpu": "cortex-m4"}),
    "rv32imc": Machine(
        target={"triple": "riscv32-unknown-elf"}, flags=("-march=rv32imc", "-mabi=ilp32")
    ),
}


def _with_main(main: str, program: Whole, **headers: str) -> Whole:
    """Return a program with a `main` of this folder, and with headers by their names here."""
    texts = {path: (_FOLDER / name).read_text() for path, name in headers.items()}
    texts["corpus_main.c"] = (_FOLDER / main).read_text()
    return replace(program, headers={**program.headers, **texts})


def small_printf(program: Whole) -> Whole:
    """Return a program that prints no floating-point numbers with the C library's smaller printf.

    The user's own builds get it too.
    """
    defines = [*program.build.get("defines", ()), _INTEGERS_ALONE]
    return replace(program, build={**program.build, "defines": defines})


def _crypto(main: str, files: str) -> Whole:
    program = Whole(
        package="mbedtls",
        files=rf"library/({files})\.c|library/\w+\.h|include/(mbedtls|psa)/\w+\.h",
        build=_MBEDTLS,
        runs=({},),
        headers={"corpus.h": (_FOLDER / f"{main}.h").read_text()},
    )
    return _with_main(f"{main}.c", program)


PROGRAMS: Mapping[str, Whole] = {
    "jsmn": small_printf(
        Whole(package="jsmn", files=r"example/simple\.c|jsmn\.h", build={}, runs=({},))
    ),
    "libfixmath": _with_main(
        "fixmath.c",
        Whole(
            package="libfixmath",
            files=r"libfixmath/\w+\.[ch]",
            build={"include": ["libfixmath"]},
            runs=({},),
        ),
    ),
    "qrcodegen": _with_main(
        "qrcode.c",
        Whole(
            package="qr-code-generator",
            files=r"c/qrcodegen\.[ch]",
            build={"include": ["c"]},
            runs=({},),
        ),
    ),
    "mini-gmp": small_printf(
        _with_main(
            "minigmp.c",
            Whole(
                package="gmp",
                files=r"mini-gmp/mini-gmp\.[ch]",
                build={"include": ["mini-gmp"]},
                runs=({},),
            ),
        )
    ),
    "mbedtls-ciphers": small_printf(
        _crypto(
            "crypto",
            "aes|cipher|cipher_wrap|gcm|hmac_drbg|md|sha256|platform_util|constant_time",
        )
    ),
    "mbedtls-curves": small_printf(
        _crypto("curves", "bignum|ecdh|ecp|ecp_curves|platform_util|constant_time")
    ),
    "libscrypt": _with_main(
        "scrypt.c",
        Whole(
            package="libscrypt",
            files=r"(b64|crypto_scrypt-hexconvert|crypto_scrypt-nosse|sha256)\.c|[\w-]+\.h",
            build={"include": ["."]},
            runs=({},),
            # Without mmap, which it then replaces by malloc.
            headers={"sys/mman.h": ""},
        ),
    ),
    "bzip2": small_printf(
        _with_main(
            "bzip2.c",
            Whole(
                package="bzip2",
                files=r"(bzlib|blocksort|compress|crctable|decompress|huffman|randtable)\.c|\w+\.h",
                build={"include": ["."], "defines": ["BZ_NO_STDIO"]},
                runs=({},),
            ),
            **{"packed.h": "packed.h"},
        )
    ),
    "lz4": small_printf(
        _with_main(
            "lz4.c",
            Whole(
                package="lz4",
                files=r"lib/lz4(hc)?\.[ch]",
                build={"include": [".", "lib"]},
                runs=({},),
            ),
            **{"packed.h": "packed.h"},
        )
    ),
    "cjson": replace(HOSTED["cjson"], libraries=("m",)),
    "md4c": _with_main(
        "markdown.c",
        Whole(
            package="md4c",
            files=r"src/[a-z0-9-]+\.[ch]",
            build={"include": ["src"]},
            runs=({},),
        ),
    ),
    "picosat": small_printf(
        _with_main(
            "satisfy.c",
            Whole(
                package="picosat",
                files=r"picosat\.[ch]",
                build={"include": ["."], "defines": ["NGETRUSAGE", "NDEBUG"]},
                runs=({},),
            ),
        )
    ),
}
