"""A source package made for tests, large enough to be a module of the corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from workers.corpus import debian
from workers.corpus.packages import Package


def functions(count: int) -> str:
    """Return C source of `count` functions, some 40 instructions each."""
    return "".join(
        f"int f{n}(int a, int b) "
        f"{{ int s = {n}; for (int i = 0; i < b; i++) {{ s += a * i ^ s >> 3;"
        " if (s & 1) s -= i; else s += b; } return s; }\n"
        for n in range(count)
    )


def unpacked(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: Mapping[str, str],
    *,
    pattern: str,
) -> None:
    """Write the package `toy` of the training split into the corpus folder, as if fetched."""
    root = folder / "sources" / "toy" / "toy-1.0"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root.parent / ".whole").touch()
    monkeypatch.setattr(
        debian, "PACKAGES", {"toy": Package(split="train", files=pattern)}
    )
