"""Programs without an operating system to mine and tune on; none is one of `firmware.PROGRAMS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from workers.corpus import headers
from workers.corpus.firmware import small_printf
from workers.corpus.training_images import TRAINING as HOSTED
from workers.corpus.whole import Whole

_FOLDER = Path(__file__).parent
_PACKED = _FOLDER.parent / "firmware" / "packed.h"


def _program(main: str, program: Whole) -> Whole:
    """Return a program with a `main` of this folder, run once, with the smaller printf."""
    texts = {
        "corpus_main.c": (_FOLDER / main).read_text(),
        "packed.h": _PACKED.read_text(),
    }
    return small_printf(
        replace(program, headers={**program.headers, **texts}, runs=({},))
    )


TRAINING: Mapping[str, Whole] = {
    "libgsm": _program(
        "gsm.c",
        Whole(
            package="libgsm",
            files=r"src/(add|code|debug|decode|gsm_\w+|long_term|lpc|preprocess|rpe|short_term"
            r"|table)\.c|inc/\w+\.h",
            build={
                "include": ["inc"],
                "defines": ["NeedFunctionPrototypes=1", "SASR"],
            },
            runs=(),
        ),
    ),
    "http-parser": _program(
        "http.c",
        Whole(
            package="http-parser",
            files=r"http_parser\.[ch]",
            build={"include": ["."]},
            runs=(),
        ),
    ),
    "libcsv": _program(
        "csv.c",
        Whole(
            package="libcsv",
            files=r"libcsv\.c|csv\.h",
            build={"include": ["."]},
            runs=(),
        ),
    ),
    "yajl": _program(
        "yajl.c",
        replace(
            HOSTED["yajl"],
            files=r"src/(yajl|yajl_(alloc|buf|encode|gen|lex|parser))\.c|src/\w+\.h|src/api/\w+\.h",
        ),
    ),
    "kissfft": _program(
        "fft.c",
        Whole(
            package="kissfft",
            files=r"kiss_fft\.[ch]|_kiss_fft_guts\.h|kiss_fft_log\.h",
            build={"include": ["."], "defines": ["FIXED_POINT=16"]},
            runs=(),
        ),
    ),
    "minilzo": _program(
        "lzo.c",
        Whole(
            package="lzo2",
            files=r"minilzo/minilzo\.[ch]|include/lzo/lzo(conf|defs)\.h",
            build={"include": ["minilzo", "include", ".", "include/lzo"]},
            runs=(),
        ),
    ),
    "jansson": _program(
        "json.c",
        Whole(
            package="jansson",
            files=r"src/\w+\.[ch]",
            build={
                "include": ["src", "."],
                "defines": ["HAVE_CONFIG_H", "HAVE_STDINT_H"],
            },
            runs=(),
            headers={
                "jansson_private_config.h": headers.JANSSON,
                "jansson_config.h": headers.JANSSON_PUBLIC,
            },
        ),
    ),
    "bearssl": _program(
        "bear.c",
        Whole(
            package="bearssl",
            files=r"src/(codec|int|hash|symcipher|ec)/(?!.*(x86ni|pwr8|sse2|ctmulq))\w+\.c"
            r"|src/\w+\.h|inc/\w+\.h",
            build={"include": ["src", "inc"]},
            runs=(),
        ),
    ),
    "libtommath": _program(
        "tommath.c",
        Whole(
            package="libtommath",
            files=r"\w+\.[ch]",
            build={
                "include": ["."],
                "defines": ["MP_NO_DEV_URANDOM", "MP_NO_FILE"],
            },
            runs=(),
        ),
    ),
    "zlib": _program(
        "zlib.c",
        Whole(
            package="zlib",
            files=r"(adler32|compress|crc32|deflate|inffast|inflate|inftrees|trees|uncompr|zutil)"
            r"\.c|[a-z0-9]+\.h",
            build={"include": ["."]},
            runs=(),
        ),
    ),
}
