"""Paths that a model names: only plain files under the roots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trimtab.mcp.files import MAX_BYTES, FileRefused, open_under, plain_name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "m.lp").write_text("model")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "inside").symlink_to(folder / "sub" / "m.lp")
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "empty").touch()
    os.mkfifo(folder / "pipe")
    with (folder / "huge").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    return folder


@pytest.mark.parametrize("path", ["sub/m.lp", "./sub/../sub/m.lp", "inside"])
def test_a_plain_file_under_a_root_is_read(root: Path, path: str) -> None:
    for name in (path, str(root / path)):
        descriptor, shown = open_under([root], name)
        with os.fdopen(descriptor, "rb") as file:
            assert (file.read(), shown) == (b"model", "m.lp")


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "sub/../../secret",
        "/etc/passwd",
        "../../../../etc/passwd",
        "link",
        "up/secret",
        "loop",
        "sub",
        ".",
        "",
        "pipe",
        "/dev/zero",
        "absent",
        "m.lp\x00.txt",
        "x" * 5000,
        "~/secret",
        "file:///etc/passwd",
    ],
)
def test_everything_else_is_refused(root: Path, path: str) -> None:
    with pytest.raises(FileRefused, match="path: expected a plain file under") as caught:
        open_under([root], path)
    assert "secret\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("path", ["empty", "huge"])
def test_sizes_are_limited(root: Path, path: str) -> None:
    with pytest.raises(FileRefused, match=f"expected 1 to {MAX_BYTES} bytes, got"):
        open_under([root], path)


def test_without_roots_no_file_is_read(root: Path) -> None:
    with pytest.raises(FileRefused, match="this server may read no folder"):
        open_under([], str(root / "sub" / "m.lp"))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.lp", "a.lp"),
        ("../../b.csv", "b.csv"),
        ("c:\\d\\e.c", "e.c"),
        ("x\n\x1b[31my.mps", "x[31my.mps"),
    ],
)
def test_names_of_uploads_are_plain(name: str, kept: str) -> None:
    assert plain_name(name) == kept


@pytest.mark.parametrize("name", ["", "..", "a/", "\x00"])
def test_names_without_a_name_are_refused(name: str) -> None:
    with pytest.raises(FileRefused, match="name: expected a file name"):
        plain_name(name)
