"""Whole public programs to mine and tune image mode on; none is one of `images.PROGRAMS`."""

from __future__ import annotations

from collections.abc import Mapping

from workers.corpus import headers
from workers.corpus.whole import WHOLE, Whole

_HELP = ({"arguments": ["--help"]},)

TRAINING: Mapping[str, Whole] = {
    "zlib": WHOLE["zlib"],
    "mujs": Whole(
        package="mujs",
        files=r"(main|js\w*|utf|regexp|astnames|opnames|utfdata|mujs)\.[ch]",
        build={},
        runs=_HELP,
        libraries=("m",),
    ),
    "zopfli": Whole(
        package="zopfli",
        files=r"src/zopfli/\w+\.[ch]",
        build={},
        runs=_HELP,
        libraries=("m",),
    ),
    "xxhash": Whole(
        package="xxhash",
        files=r"xxh(ash|3)\.[ch]|cli/\w+\.[ch]",
        build={"include": ["."]},
        runs=_HELP,
    ),
    "jhead": Whole(
        package="jhead",
        files=r"(exif|gpsinfo|iptc|jhead|jpgfile|jpgqguess|makernote|paths)\.[ch]",
        build={},
        runs=_HELP,
        libraries=("m",),
    ),
    "pwgen": Whole(
        package="pwgen",
        files=r"(pw_phonemes|pw_rand|pwgen|randnum|sha1|sha1num)\.[ch]",
        build={"defines": ["HAVE_GETOPT_H", "HAVE_DRAND48", "_GNU_SOURCE"]},
        runs=_HELP,
    ),
    "yajl": Whole(
        package="yajl",
        files=r"src/\w+\.[ch]|src/api/\w+\.h|reformatter/json_reformat\.c",
        build={"include": [".", "src", "src/api"]},
        runs=({"stdin": '{"a":[1,2.5,"x"]}'},),
        headers={"yajl/yajl_version.h": "#define YAJL_VERSION 20100\n"}
        | {
            f"yajl/yajl_{part}.h": f'#include "../src/api/yajl_{part}.h"\n'
            for part in ("parse", "gen", "common", "tree")
        },
    ),
    "cmark": Whole(
        package="cmark",
        files=r"src/\w+\.([ch]|inc)",
        build={"include": [".", "src"]},
        runs=({"stdin": "# a\n\n*b* `c`\n"},),
        headers={
            "config.h": headers.CMARK,
            "cmark_version.h": headers.CMARK_VERSION,
            "cmark_export.h": "#define CMARK_EXPORT\n",
        },
    ),
}
