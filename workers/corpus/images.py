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
_PATCH = (
    "diff -u a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1,3 +1,4 @@\n a\n-b\n+c\n+d\n e\n"
    "--- a/dir/long name.txt\t2020-01-01\n+++ b/dir/long name.txt\t2020-01-02\n"
    "@@ -1,2 +1,1 @@\n-one\n-two\n+three\nOnly in b: new\nBinary files a/p and b/p differ\n"
)
_UNICODE = "h\u00e9llo \u201cw\u00f6rld\u201d \u20ac \u00f1 \u2014 \u00bd \u03b1\u03b2 \U0001f600\n"
_UNITS = "m !\ns !\nkg !\ncm 0.01 m\nkm 1000 m\nhour 3600 s\nN kg m / s^2\nkilo- 1000\nk- kilo\n"
_ASSEMBLY = (
    "* = $1000\nstart lda #<text\n ldx #>text\n jsr print\nloop bne loop\n"
    "#define TWICE(x) x : x\n TWICE(nop)\n.(\n ldy #10*2+1\nl dey\n bpl l\n.)\n"
    'print rts\ntext .asc "HELLO", 13, 0\n .word start, loop, $ffff\n'
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
    "ncompress": Whole(
        package="ncompress",
        files=r"compress42\.c|patchlevel\.h",
        build={"defines": ["DIRENT", "USERMEM=800000", "UTIME_H"]},
        runs=({"arguments": ["-c"], "stdin": _TEXT}, {"arguments": ["-cv", "-b", "10"],
                                                      "stdin": _TEXT * 4},
              {"arguments": ["-dc"], "stdin": "no data"}, {"arguments": ["-V"]}),
    ),
    "diffstat": Whole(
        package="diffstat",
        files=r"diffstat\.c",
        build={"defines": ["HAVE_GETOPT_H", "HAVE_STRING_H", "HAVE_STDLIB_H", "HAVE_UNISTD_H",
                           "HAVE_MALLOC_H", "HAVE_STRDUP"]},
        runs=({"stdin": _PATCH}, {"arguments": ["-t"], "stdin": _PATCH},
              {"arguments": ["-f", "4", "-p1", "-C", "-k"], "stdin": _PATCH * 2},
              {"arguments": ["-R", "-l"], "stdin": _PATCH}, {"arguments": ["-V"]}),
    ),
    "tofrodos": Whole(
        package="tofrodos",
        files=r"src/[a-z]+\.[ch]",
        build={"defines": ["LINUX"]},
        runs=({"arguments": ["-d"], "stdin": "a\r\nb\r\nc\n"},
              {"arguments": ["-u", "-v"], "stdin": "a\nb\nc"}, {"arguments": ["-V"]},
              {"arguments": ["-d", "missing"]}),
    ),
    "units": Whole(
        package="units",
        files=r"(units|parse\.tab|strfunc)\.[ch]",
        build={"defines": ['UNITSFILE="definitions.units"', 'LOCALEMAP="locale_map.txt"',
                           'VERSION="1"', "HAVE_STRING_H", "STDC_HEADERS"]},
        runs=({"arguments": ["-f", "/dev/stdin", "3 km/hour", "cm/s"], "stdin": _UNITS},
              {"arguments": ["-f", "/dev/stdin", "-v", "2 kN s^2", "kg m"], "stdin": _UNITS},
              {"arguments": ["-f", "/dev/stdin", "-t", "sqrt(9 m^2) + 5 cm", "m"],
               "stdin": _UNITS},
              {"arguments": ["-f", "/dev/stdin", "3 km", "s"], "stdin": _UNITS}),
        libraries=("m",),
    ),
    "xa": Whole(
        package="xa",
        files=r"src/\w+\.[ch]",
        build={"include": ["src"]},
        runs=({"arguments": ["-o", "-", "/dev/stdin"], "stdin": _ASSEMBLY},
              {"arguments": ["-R", "-o", "-", "/dev/stdin"], "stdin": _ASSEMBLY},
              {"arguments": ["-w", "-v", "-o", "-", "/dev/stdin"], "stdin": " lda #bad(\n rtx\n"},
              {"arguments": ["--version"]}),
    ),
    "uni2ascii": Whole(
        package="uni2ascii",
        files=r"(uni2ascii|SetFormat|UTF8in|endian|enttbl|putu8)\.c|\w+\.h",
        build={"include": ["."], "flags": ["-std=gnu89"]},
        runs=({"stdin": _UNICODE}, {"arguments": ["-a", "H"], "stdin": _UNICODE},
              {"arguments": ["-B"], "stdin": _UNICODE}, {"arguments": ["-v"]},
              {"arguments": ["-a", "Q", "-e", "-x"], "stdin": _UNICODE}),
        headers={"config.h": '#define PACKAGE "uni2ascii"\n#define PACKAGE_VERSION "1"\n'
                 "#define HAVE_SETLOCALE 1\n#define HAVE_LOCALE_H 1\n"
                 "#define HAVE_STDLIB_H 1\n#define HAVE_UNISTD_H 1\n"},
    ),
}  # fmt: skip
