"""Small real files for the goals: the suffix decides the form, some names the content.

Contents depend on the name only, so both goal files may use a name without storing the file.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

TABLES = {
    "user_id": "4000000,128,1,fp32,0.9,200000",
    "item_id": "3000000,64,20,fp16,1.05,80000",
    "ad_id": "1200000,64,4,fp32,1.1,50000",
    "campaign": "90000,32,2,fp32,,",
    "query": "800000,64,6,bf16,0.8,40000",
    "site": "50000,32,1,fp32,,",
    "device_type": "600,16,1,,,",
    "country": "250,16,1,,,",
}
"""Name of each embedding table → the other columns of its row."""
_HEAD = "name,rows,dim,pooling,dtype,alpha,active_rows"
_OTHER_DATA = re.compile(r"demand|sales|orders|weather|invoice")
_MODELS_INSIDE = re.compile(r"train|instances")

_VALUES = {
    "x1": (7, 3),
    "x2": (5, 2),
    "x3": (9, 4),
    "x4": (3, 1),
    "x5": (8, 5),
    "x6": (4, 2),
}
"""Variable of the knapsack → (profit, weight); the capacity is 9."""

_PROGRAM = """#include <stdio.h>
#include <stdlib.h>

static unsigned mix(unsigned h, unsigned v) {
    h ^= v * 2654435761u;
    return (h << 13 | h >> 19) * 5 + 0xe6546b64u;
}

int main(int argc, char **argv) {
    unsigned h = 17, n = argc > 1 ? strtoul(argv[1], 0, 10) : 1000;
    for (unsigned i = 0; i < n; i++)
        h = mix(h, i);
    printf("%08x\\n", h);
    return 0;
}
"""
_CXX = _PROGRAM.replace("<stdio.h>", "<cstdio>").replace("<stdlib.h>", "<cstdlib>")
_IR = """define i32 @twice(i32 %x) {
  %y = add i32 %x, %x
  ret i32 %y
}
"""
_ARCHIVE = {
    "src/main.c": '#include "mix.h"\nint main(void) { return (int)(mix(1u, 2u) & 1u); }\n',
    "src/mix.c": '#include "mix.h"\nunsigned mix(unsigned h, unsigned v) { return h ^ v; }\n',
    "src/mix.h": "unsigned mix(unsigned h, unsigned v);\n",
    "tests/test_mix.c": "int test_mix(void) { return 0; }\n",
}


def content(name: str) -> bytes:
    """Return the bytes of an attached file. Raises KeyError for a suffix without a form."""
    lower = name.lower()
    if lower.endswith((".mps.gz", ".lp.gz")):
        return gzip.compress(content(name[:-3]), mtime=0)
    if lower.endswith((".tar.gz", ".tgz")):
        return gzip.compress(_tar(_members(lower)), mtime=0)
    return _FORMS[PurePosixPath(lower).suffix](lower)


def zip_of(members: Mapping[str, str]) -> bytes:
    """Return a zip archive of member name → text."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return out.getvalue()


def _tar(members: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member, text in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def _members(name: str) -> Mapping[str, str]:
    if _MODELS_INSIDE.search(name):
        return {f"instances/{n}.mps": _mps(name).decode() for n in range(3)}
    return _ARCHIVE


def _mps(_: str) -> bytes:
    lines = ["NAME KNAPSACK", "ROWS", " N profit", " L weight", "COLUMNS"]
    lines += [" M1 'MARKER' 'INTORG'"]
    lines += [f" {x} profit -{gain} weight {mass}" for x, (gain, mass) in _VALUES.items()]
    lines += [" M2 'MARKER' 'INTEND'", "RHS", " rhs weight 9", "BOUNDS"]
    lines += [f" BV bnd {x}" for x in _VALUES]
    return "\n".join([*lines, "ENDATA", ""]).encode()


def _lp(_: str) -> bytes:
    gains = " + ".join(f"{gain} {x}" for x, (gain, _) in _VALUES.items())
    masses = " + ".join(f"{mass} {x}" for x, (_, mass) in _VALUES.items())
    text = f"Maximize\n profit: {gains}\nSubject To\n weight: {masses} <= 9\nBinary\n"
    return (text + " " + " ".join(_VALUES) + "\nEnd\n").encode()


def _csv(name: str) -> bytes:
    if _OTHER_DATA.search(name):
        rows = [
            f"2025-{month:02},{100 + 7 * month},{month % 3}" for month in range(1, 13)
        ]
        return "\n".join(["month,units,returns", *rows, ""]).encode()
    rows = [f"{table},{rest}" for table, rest in TABLES.items()]
    return "\n".join([_HEAD, *rows, ""]).encode()


def _json(_: str) -> bytes:
    rows = [dict(zip(_HEAD.split(",")[1:3], map(int, r.split(",")[:2]), strict=True))
            for r in TABLES.values()]  # fmt: skip
    return json.dumps(
        [{"name": n, **r} for n, r in zip(TABLES, rows, strict=True)]
    ).encode()


def _png(_: str) -> bytes:
    def chunk(tag: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data))
            + tag
            + data
            + struct.pack(">I", zlib.crc32(tag + data))
        )

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixel = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixel + chunk(b"IEND", b"")


def _constant(text: str) -> Callable[[str], bytes]:
    return lambda _: text.encode()


_FORMS: Mapping[str, Callable[[str], bytes]] = {
    ".mps": _mps,
    ".lp": _lp,
    ".sol": _constant("x2 1\nx4 1\n"),
    ".mst": _constant("x2 1\nx4 1\n"),
    ".csv": _csv,
    ".json": _json,
    ".c": _constant(_PROGRAM),
    ".cpp": _constant(_CXX),
    ".cc": _constant(_CXX),
    ".cxx": _constant(_CXX),
    ".ll": _constant(_IR),
    ".zip": lambda name: zip_of(_members(name)),
    ".tar": lambda name: _tar(_members(name)),
    ".png": _png,
    ".txt": _constant("Minutes of the meeting: all agreed.\n"),
    ".md": _constant("# Notes\n\nNothing to see.\n"),
    ".pdf": _constant(
        "%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    ),
    ".s1p": _constant("# Hz S RI R 50\n2400000000 0.1 0.0\n"),
}
