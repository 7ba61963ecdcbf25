"""State of a job: what a next attempt continues from, and in the end model and card.

It is packed as a JSON header and the bytes of files, without pickle, and read with bounds: the
process that wrote it had read hostile input.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from trimtab.cards import CurvePoint

MOST_STATE_BYTES = 24 * 2**20
MOST_STATE_FILES = 1_000
_MODEL = "model"
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, kw_only=True)
class LearnState:
    """Progress of a job."""

    files: Mapping[str, bytes] = field(default_factory=dict)  # of `FitRun.folder`
    curve: tuple[CurvePoint, ...] = ()
    model: bytes | None = None  # the fitted model's file, once fitting has ended
    fitted: Mapping[str, Any] = field(default_factory=dict)  # notes, alarms, figures
    rows: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # by key
    card: Mapping[str, Any] | None = None  # set at the very end

    def to_bytes(self) -> bytes:
        """Serialise the state."""
        contents = dict(self.files)
        if self.model is not None:
            contents[f"/{_MODEL}"] = self.model
        header = orjson.dumps(
            {
                "sizes": [[name, len(content)] for name, content in contents.items()],
                "curve": [point.model_dump(mode="json") for point in self.curve],
                "fitted": dict(self.fitted),
                "rows": {key: list(pair) for key, pair in self.rows.items()},
                "card": self.card,
            }
        )
        return _LENGTH.pack(len(header)) + header + b"".join(contents.values())

    @classmethod
    def from_bytes(cls, data: bytes) -> LearnState:
        """Rebuild a state. Raises ValueError, KeyError or TypeError."""
        if len(data) < _LENGTH.size:
            raise ValueError(f"state: expected a header, got {len(data)} bytes")
        (length,) = _LENGTH.unpack_from(data)
        at = _LENGTH.size + length
        header = orjson.loads(data[_LENGTH.size : at])
        contents: dict[str, bytes] = {}
        for name, size in header["sizes"]:
            if type(size) is not int or not 0 <= size <= len(data) - at:
                raise ValueError(f"state: {name!r}: expected a size within the data")
            contents[str(name)] = data[at : at + size]
            at += size
        if at != len(data):
            raise ValueError("state: expected as many bytes as its header says")
        model = contents.pop(f"/{_MODEL}", None)
        for name in contents:
            require_plain(name)
        return cls(
            files=contents,
            curve=tuple(CurvePoint.model_validate(point) for point in header["curve"]),
            model=model,
            fitted=dict(header["fitted"]),
            rows={
                str(key): (float(shipped), float(fitted))
                for key, (shipped, fitted) in header["rows"].items()
            },
            card=header["card"],
        )


def require_plain(name: str) -> None:
    """Raise ValueError unless `name` is a relative path inside a folder."""
    parts = name.split("/")
    if (
        not name.isprintable()
        or len(name) > 400
        or any(p in ("", ".", "..") for p in parts)
    ):
        raise ValueError(f"state: {name[:80]!r}: expected a plain relative path")


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return all files of a state folder by their relative paths. Raises ValueError beyond limits.

    Files that end in `.part` are being written and are left out.
    """
    files: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.suffix == ".part":
            continue
        content = path.read_bytes()
        total += len(content)
        if total > MOST_STATE_BYTES or len(files) >= MOST_STATE_FILES:
            raise ValueError(
                f"state: expected at most {MOST_STATE_FILES} files and "
                f"{MOST_STATE_BYTES:,} bytes in all, got more"
            )
        files[path.relative_to(folder).as_posix()] = content
    return files


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a state."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        require_plain(name)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
