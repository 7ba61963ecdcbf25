"""Whole public programs that nothing was mined or tuned on, with runs: for linked images.

Their packages are outside `packages.PACKAGES` or held out there.
"""

from __future__ import annotations

from collections.abc import Mapping

from workers.corpus.whole import WHOLE, Whole

_TEXT = "".join(
    f"line {i}: {i * i % 97} quick \x1b[3{i % 8}mbrown\x1b[0m foxes & <{i % 7}> lazy dogs\n"
    for i in range(60)
)
_MARKDOWN = (
    '# A title\n\nSome *emphasis*, `code`, a [link](http://example.org "t") and\na table:\n\n'
    "| a | b |\n|---|--:|\n| 1 | 2 |\n\n"
    "1. one\n2. two\n   - nested\n\n> quote\n\n```c\nint x;\n```\n"
    "\n<b>html</b> &amp; ~~struck~~ https://example.org\n"
)
_ED = "a\nhello world\nsecond line\nthird\n.\n1,2s/o/0/g\n,n\n/third/m0\n,p\ng/l/s//L/\n,l\nQ\n"
_CNF = "p cnf 6 9\n1 2 0\n-1 3 0\n-2 3 0\n-3 4 5 0\n-4 6 0\n-5 6 0\n-6 1 2 0\n4 -5 0\n5 -1 0\n"
_UNIFDEF = (
    "#ifdef FOO\nint foo;\n#else\nint bar;\n#endif\n"
    "#if defined(BAR) && X > 2\nint x;\n#endif\n"
)

PROGRAMS: Mapping[str, Whole] = {
    "bzip2": WHOLE["bzip2"],
    "lua5.4": WHOLE["lua5.4"],
    "aha": Whole(
        package="aha",
        files=r"aha\.c",
        build={},
        runs=({"stdin": _TEXT}, {"arguments": ["-b", "-l", "-t", "x"], "stdin": _TEXT}),
    ),
    "tree": Whole(
        package="tree",
        files=r"[a-z]+\.[ch]",
        build={"defines": ["LINUX", "_GNU_SOURCE"]},
        runs=({"arguments": ["--version"]}, {"arguments": ["-J", "--noreport", "."]},
              {"arguments": ["-X", "."]},
              {"arguments": ["--fromfile", "."], "stdin": "a/b\na/c\nd\n"}),
    ),
    "clzip": Whole(
        package="clzip",
        files=r"[a-z_]+\.[ch]",
        build={"defines": ['PROGVERSION="1"']},
        runs=({"arguments": ["-c"], "stdin": _TEXT}, {"arguments": ["-9"], "stdin": _TEXT * 3},
              {"arguments": ["-dc"], "stdin": "no lzip data"}),
    ),
    "ed": Whole(
        package="ed",
        files=r"[a-z_]+\.[ch]",
        build={"defines": ['PROGVERSION="1"']},
        runs=({"stdin": _ED}, {"arguments": ["-s", "-p", "*"], "stdin": _ED}),
    ),
    "unifdef": Whole(
        package="unifdef",
        files=r"(unifdef\.[ch]|version\.h)",
        build={"include": ["."]},
        runs=({"arguments": ["-DFOO", "-UBAR"], "stdin": _UNIFDEF},
              {"arguments": ["-k", "-DX=3", "-DBAR"], "stdin": _UNIFDEF}),
    ),
    "dos2unix": Whole(
        package="dos2unix",
        files=r"(dos2unix|common|querycp)\.[ch]",
        build={"defines": ['VER_REVISION="1"', 'VER_DATE="1"', 'VER_AUTHOR="1"', "D2U_UNICODE"]},
        runs=({"stdin": "a\r\nb\r\nc\n"}, {"arguments": ["-c", "mac"], "stdin": "a\rb\rc\n"},
              {"arguments": ["-i"], "stdin": "a\r\n"}),
    ),
    "par": Whole(
        package="par",
        files=r"(buffer|charset|errmsg|par|reformat)\.[ch]",
        build={},
        runs=({"arguments": ["40"], "stdin": _MARKDOWN * 2}, {"arguments": ["help"]},
              {"arguments": ["60j"], "stdin": _TEXT}),
    ),
    "jo": Whole(
        package="jo",
        files=r"(jo|json|base64)\.[ch]",
        build={"defines": ['PACKAGE_VERSION="1"', "HAVE_ERR_H", "_GNU_SOURCE"]},
        runs=({"arguments": ["a=1", "b[]=x", "b[]=true", "c=null", "d=2.50"]},
              {"arguments": ["-p", "-a", "1", "two", "{\"x\": [1,2]}"]},
              {"arguments": ["-V"]}),
        libraries=("m",),
    ),
    "hashalot": Whole(
        package="hashalot",
        files=r"(hashalot|rmd160|sha512)\.[ch]",
        build={"defines": ['PACKAGE="hashalot"', 'VERSION="1"', "_GNU_SOURCE"]},
        runs=({"arguments": ["-x", "-n", "16", "sha256"], "stdin": "secret\n"},
              {"arguments": ["-x", "sha512"], "stdin": "other\n"},
              {"arguments": ["-x", "rmd160"], "stdin": "third\n"}),
    ),
    "picosat": Whole(
        package="picosat",
        files=r"(app|main|picosat|version)\.[ch]",
        build={"include": ["."]},
        runs=({"stdin": _CNF}, {"arguments": ["-v"], "stdin": "p cnf 1 2\n1 0\n-1 0\n"}),
        headers={"config.h": '#define PICOSAT_CC "cc"\n#define PICOSAT_CFLAGS ""\n'
                 '#define PICOSAT_VERSION "1"\n'},
    ),
    "tinyscheme": Whole(
        package="tinyscheme",
        files=r"(scheme|dynload|opdefines|scheme-private)\.[ch]",
        build={"defines": ["STANDALONE=1", "USE_DL=0", "USE_MATH=1", "USE_ASCII_NAMES=0"]},
        runs=({"arguments": ["-c", "(display (* 6 7))"]},
              {"stdin": "(define (f n) (if (< n 2) n (+ (f (- n 1)) (f (- n 2)))))(f 12)\n"}),
        libraries=("m",),
    ),
    "lz4": Whole(
        package="lz4",
        files=r"programs/[a-z0-9]+\.[ch]|lib/\w+\.[ch]",
        build={"include": ["lib"], "exclude": ["lib/lz4file.c"], "defines": ["XXH_NAMESPACE=LZ4_"]},
        runs=({"arguments": ["-c"], "stdin": _TEXT}, {"arguments": ["-9"], "stdin": _TEXT * 4},
              {"arguments": ["-dc"], "stdin": "no data"}),
    ),
    "cjson": Whole(
        package="cjson",
        files=r"cJSON\.[ch]|test\.c",
        build={"include": ["."]},
        runs=({},),
    ),
    "md4c": Whole(
        package="md4c",
        files=r"(src|md2html)/[a-z0-9-]+\.[ch]",
        build={"include": ["src", "md2html"],
               "defines": ["MD_VERSION_MAJOR=0", "MD_VERSION_MINOR=4", "MD_VERSION_RELEASE=8"]},
        runs=({"stdin": _MARKDOWN}, {"arguments": ["--github", "-f"], "stdin": _MARKDOWN}),
    ),
    "ent": Whole(
        package="ent",
        files=r"[a-z0-9]+\.[ch]",
        build={},
        runs=({"stdin": _TEXT}, {"arguments": ["-c"], "stdin": _TEXT},
              {"arguments": ["-b", "-t"], "stdin": "abc"}),
        libraries=("m",),
    ),
}  # fmt: skip
