"""Debian source packages of the corpus: their stand-alone files, and the split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workers.corpus import headers


@dataclass(frozen=True, kw_only=True)
class Package:
    """A source package and its side of the split."""

    split: str  # train, val, heldout
    files: str  # pattern of paths below the package's folder
    flags: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    """Path → text of a header that its configure script would write."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Path → path of a file of the package with the same purpose."""
    needs: tuple[str, ...] = ()
    """Other packages whose headers it includes."""
    without: str = r"(?!)"
    """Pattern of folders whose headers are for other systems or tests."""


_HOST = ("-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64")

# Packages of the last block are held out: never trained or tuned on.
PACKAGES: Mapping[str, Package] = {
    "zlib": Package(split="train", files=r"[a-z0-9]+\.c"),
    "libpng1.6": Package(
        split="train",
        files=r"png\w*\.c",
        needs=("zlib",),
        copies={"pnglibconf.h": "scripts/pnglibconf.h.prebuilt"},
    ),
    "pcre2": Package(
        split="train",
        files=r"src/pcre2_\w+\.c",
        flags=(
            "-DHAVE_CONFIG_H",
            "-DPCRE2_CODE_UNIT_WIDTH=8",
            "-DSUPPORT_PCRE2_8=1",
            "-DSUPPORT_UNICODE=1",
        ),
        copies={"pcre2.h": "src/pcre2.h.generic", "config.h": "src/config.h.generic"},
    ),
    "jansson": Package(
        split="train",
        files=r"src/\w+\.c",
        flags=("-DHAVE_CONFIG_H", "-DHAVE_STDINT_H"),
        headers={
            "jansson_private_config.h": headers.JANSSON,
            "jansson_config.h": headers.JANSSON_PUBLIC,
        },
        without=r".*(win32|android).*",
    ),
    "xxhash": Package(split="train", files=r"xxhash\.c|xxhsum\.c|cli/\w+\.c"),
    "libzstd": Package(
        split="train",
        files=r"lib/(common|compress|decompress|dictBuilder)/\w+\.c",
        without=r"(contrib|tests|programs|zlibWrapper).*",
    ),
    "lzo2": Package(split="train", files=r"(src|minilzo)/\w+\.c"),
    "libyaml": Package(
        split="train",
        files=r"src/\w+\.c",
        flags=(
            "-DYAML_VERSION_MAJOR=0",
            "-DYAML_VERSION_MINOR=2",
            "-DYAML_VERSION_PATCH=5",
            '-DYAML_VERSION_STRING="0.2.5"',
        ),
    ),
    "giflib": Package(split="train", files=r"\w+\.c"),
    "libtomcrypt": Package(
        split="train", files=r"src/(ciphers|hashes|encauth|mac|modes)/[\w/]+\.c"
    ),
    "libtommath": Package(split="train", files=r"\w+\.c"),
    "opus": Package(
        split="train",
        files=r"(src|celt|silk)/\w+\.c",
        flags=("-DOPUS_BUILD", "-DUSE_ALLOCA", "-DFLOATING_POINT"),
    ),
    "speex": Package(
        split="train",
        files=r"libspeex/\w+\.c",
        flags=("-DFLOATING_POINT", "-DUSE_ALLOCA", "-DEXPORT="),
        headers={"speex_config_types.h": headers.SPEEX_TYPES},
        without=r".*(symbian|ti|win32).*",
    ),
    "libogg": Package(
        split="val",
        files=r"src/\w+\.c",
        headers={"ogg/config_types.h": headers.OGG_TYPES},
    ),
    "libvorbis": Package(
        split="train",
        files=r"lib/\w+\.c",
        needs=("libogg",),
        headers={"ogg/config_types.h": headers.OGG_TYPES},
        without=r"(symbian|macos).*",
    ),
    "mujs": Package(split="train", files=r"(js|utf|reg)\w*\.c"),
    "zopfli": Package(split="val", files=r"src/\w+/\w+\.c"),
    "libwebp": Package(
        split="train",
        files=r"src/(dec|enc|dsp|utils|mux|demux)/\w+\.c",
        flags=("-DWEBP_EXTERN=extern",),
    ),
    "freetype": Package(
        split="train",
        files=r"src/(autofit/autofit|base/ft\w+|cff/cff|truetype/truetype|psaux/psaux|smooth/smooth"
        r"|raster/raster|sfnt/sfnt|psnames/psnames|pshinter/pshinter|type1/type1|winfonts/winfnt"
        r"|pcf/pcf|bdf/bdf|cid/type1cid|type42/type42|pfr/pfr)\.c",
        flags=("-DFT2_BUILD_LIBRARY",),
        without=r"(builds|tests|devel).*",
    ),
    "libuv1": Package(
        split="val",
        files=r"src/(unix/)?[\w-]+\.c",
        flags=_HOST,
        without=r".*(win|test).*",
    ),
    "bearssl": Package(split="train", files=r"src/\w+/\w+\.c"),
    "nanopb": Package(split="train", files=r"pb_\w+\.c"),
    "libgsm": Package(split="train", files=r"src/\w+\.c", flags=("-DWAV49",)),
    "faad2": Package(
        split="train",
        files=r"libfaad/\w+\.c",
        flags=(
            "-DHAVE_INTTYPES_H",
            "-DHAVE_MEMCPY",
            "-DHAVE_LRINTF",
            "-DSTDC_HEADERS",
            '-DPACKAGE_VERSION="2"',
        ),
    ),
    "kissfft": Package(split="train", files=r"kiss_\w+\.c|kfc\.c"),
    "qhull": Package(split="train", files=r"src/libqhull_r/\w+\.c"),
    "libsodium": Package(
        split="train",
        files=r"src/libsodium/crypto_[\w/]+\.c",
        flags=("-DCONFIGURED=1", "-DNATIVE_LITTLE_ENDIAN=1"),
    ),
    "lame": Package(
        split="train",
        files=r"libmp3lame/\w+\.c",
        flags=("-DHAVE_CONFIG_H", "-DSTDC_HEADERS"),
        headers={"config.h": headers.LAME},
    ),
    "expat": Package(
        split="val",
        files=r"expat/lib/\w+\.c|lib/\w+\.c",
        flags=(
            "-DXML_GE=1",
            "-DXML_DTD",
            "-DXML_NS",
            "-DXML_CONTEXT_BYTES=1024",
            "-DBYTEORDER=1234",
            "-DXML_POOR_ENTROPY",
        ),
        headers={"expat_config.h": ""},
    ),
    "brotli": Package(split="val", files=r"c/(common|dec|enc)/\w+\.c"),
    "utf8proc": Package(split="val", files=r"utf8proc\.c"),
    "flac": Package(
        split="train",
        files=r"src/libFLAC/\w+\.c",
        flags=("-DHAVE_CONFIG_H", "-DFLAC__NO_DLL", "-D_GNU_SOURCE"),
        headers={"config.h": headers.FLAC},
    ),
    "wavpack": Package(
        split="train",
        files=r"(src|cli)/\w+\.c",
        flags=('-DVERSION_OS="Linux"', "-DENABLE_DSD"),
    ),
    "cmark": Package(
        split="train",
        files=r"src/\w+\.c",
        headers={
            "config.h": headers.CMARK,
            "cmark_version.h": headers.CMARK_VERSION,
            "cmark_export.h": "#define CMARK_EXPORT\n",
        },
    ),
    "qrencode": Package(
        split="train",
        files=r"\w+\.c",
        flags=(
            "-DSTATIC_IN_RELEASE=static",
            "-DMAJOR_VERSION=4",
            "-DMINOR_VERSION=1",
            "-DMICRO_VERSION=1",
            '-DVERSION="4.1.1"',
        ),
    ),
    "bc": Package(
        split="train",
        files=r"(bc|dc|lib)/\w+\.c",
        headers={"config.h": headers.BC},
        flags=("-DHAVE_CONFIG_H",),
    ),
    "yajl": Package(
        split="train",
        files=r"(src|verify|reformatter)/\w+\.c",
        headers={"yajl/yajl_version.h": "#define YAJL_VERSION 20100\n"},
        copies={
            f"yajl/yajl_{part}.h": f"src/api/yajl_{part}.h"
            for part in ("parse", "gen", "common", "tree")
        },
    ),
    "c-ares": Package(
        split="train",
        files=r"src/lib/\w+\.c",
        flags=("-DHAVE_CONFIG_H", *_HOST),
        headers={"ares_config.h": headers.ARES},
        without=r"test.*",
    ),
    "http-parser": Package(split="train", files=r"http_parser\.c|contrib/\w+\.c"),
    "libjpeg-turbo": Package(
        split="train",
        files=r"j\w+\.c",
        headers={"jconfig.h": headers.JPEG, "jconfigint.h": headers.JPEG_INTERNAL},
        without=r"(win|java|simd/\w+).*",
    ),
    "json-c": Package(
        split="train",
        files=r"\w+\.c",
        flags=("-D_GNU_SOURCE",),
        headers={
            "config.h": headers.JSON_C,
            "json_config.h": "#define JSON_C_HAVE_INTTYPES_H 1\n",
        },
    ),
    "libdeflate": Package(split="train", files=r"lib/[\w/]+\.c", without=r"scripts.*"),
    "libcsv": Package(split="train", files=r"(examples/)?\w+\.c"),
    "libb64": Package(split="train", files=r"src/\w+\.c"),
    "libsndfile": Package(
        split="train",
        files=r"src/(GSM610|ALAC|G72x|)/?\w+\.c",
        flags=_HOST,
        headers={"config.h": headers.SNDFILE},
        without=r"(Win32|programs|tests).*",
    ),
    "minizip": Package(split="train", files=r"\w+\.c", needs=("zlib",)),
    # C++
    "snappy": Package(
        split="train",
        files=r"snappy[\w-]*\.cc",
        headers={"snappy-stubs-public.h": headers.SNAPPY},
    ),
    "tinyxml2": Package(split="train", files=r"\w+\.cpp"),
    "double-conversion": Package(split="train", files=r"double-conversion/[\w-]+\.cc"),
    "lua5.4": Package(split="heldout", files=r"src/l\w+\.c"),
    "bzip2": Package(split="heldout", files=r"[a-z0-9]+\.c"),
    "mbedtls": Package(
        split="heldout",
        files=r"library/\w+\.c",
        without=r"(configs|tests|programs|3rdparty).*",
    ),
    "jq": Package(split="heldout", files=r"src/jv\w*\.c"),
    "cjson": Package(split="heldout", files=r"cJSON\w*\.c"),
    "lz4": Package(split="heldout", files=r"lib/\w+\.c"),
}
