"""Whole programs of source packages, as a user would send them.

A program is an archive, its build, and runs that check it.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimtab.specs.common import ArtifactRef
from trimtab.specs.compile import CompileSpec
from workers.corpus import debian

_TEXT = "".join(
    f"line {i}: the quick brown fox, {i * i % 97} times, jumps over {i % 7} lazy dogs\n"
    for i in range(150)
)
_LUA = """
local function sieve(n)
  local composite, primes = {}, {}
  for i = 2, n do
    if not composite[i] then
      primes[#primes + 1] = i
      for j = i * i, n, i do composite[j] = true end
    end
  end
  return primes
end
local text = table.concat(sieve(200), ",")
print(#text, text:sub(-20))
print(text:gsub("%d+", function(d) return d % 7 == 0 and "x" or d end):len())
print(string.format("%5.2f|%-8s|%x", math.pi, "lua", 48879))
print(("abc"):rep(3, "-"), select("#", table.unpack({1, 2, 3})))
print(pcall(error, {code = 7}), pcall(string.rep), tostring(1 // 0 == math.huge))
print(7 // 2, 7.5 % 2, 1 << 40)
local t = setmetatable({}, {
  __index = function(_, k) return k * 2 end,
  __call = function(_, a) return a + 1 end,
})
print(t[21], t(41), coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)())
"""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A program: its files of the package, its build, and its runs."""

    package: str
    files: str  # pattern of paths below the package's folder: sources and headers
    build: Mapping[str, Any]
    runs: tuple[Mapping[str, Any], ...]
    libraries: tuple[str, ...] = ()
    # Path → text of a header that its configure script would write.
    headers: Mapping[str, str] = field(default_factory=dict)

    def archive(self, corpus: Path, out: Path) -> Path:
        """Write a .tar.gz of its files, the same bytes each time; return its path.

        Raises CorpusMissing.
        """
        root = debian.fetch(self.package, corpus)
        pattern = re.compile(self.files)
        path = out / f"{self.package}.tar.gz"
        with (
            gzip.GzipFile(path, "wb", mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w") as tar,
        ):
            for file in sorted(root.rglob("*")):
                inside = file.relative_to(root).as_posix()
                if file.is_file() and pattern.fullmatch(inside):
                    _add(tar, inside, file.read_bytes())
            for inside, text in sorted(self.headers.items()):
                _add(tar, inside, text.encode())
        return path

    def spec(self, **more: Any) -> CompileSpec:
        """Return the spec of the job; the archive is its input `source`."""
        reference = ArtifactRef(
            digest="sha256:" + "0" * 64, name=f"{self.package}.tar.gz"
        )
        link = {"libraries": list(self.libraries)}
        document = {
            "build": dict(self.build),
            "runs": [dict(run) for run in self.runs],
            "link": link,
            # Benchmarks say what they measure: without `image`, the object.
            "whole_program": False,
            **more,
        }
        return CompileSpec.model_validate_json(
            json.dumps({"source": reference.model_dump(mode="json"), **document})
        )


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


WHOLE: Mapping[str, Whole] = {
    "zlib": Whole(
        package="zlib",
        files=r"[a-z0-9]+\.[ch]|test/minigzip\.c",
        build={"include": ["."], "defines": ["HAVE_UNISTD_H"]},
        runs=(
            {"stdin": _TEXT},
            {"arguments": ["-9"], "stdin": _TEXT[:500]},
            {"arguments": ["-d"], "stdin": "no gzip data"},
        ),
    ),
    "bzip2": Whole(
        package="bzip2",
        files=r"(bzip2|bzlib|blocksort|compress|crctable|decompress|huffman|randtable)\.c|\w+\.h",
        build={"include": ["."]},
        runs=(
            {"arguments": ["-c"], "stdin": _TEXT},
            {"arguments": ["-dc"], "stdin": "no bzip2 data"},
        ),
    ),
    "lua5.4": Whole(
        package="lua5.4",
        files=r"src/(?!luac\.c)\w+\.[ch]",
        build={"include": ["src"]},
        runs=(
            {"arguments": ["-"], "stdin": _LUA},
            {"arguments": ["-e", "print(_VERSION, 2^53)"]},
        ),
        libraries=("m",),
    ),
}
