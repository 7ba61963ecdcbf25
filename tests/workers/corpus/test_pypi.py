"""Modules of PyPI's source distributions: only the archive of the pinned digest."""

from __future__ import annotations

import hashlib
import io
import re
import sysconfig
import tarfile
from pathlib import Path

import pytest

from solvers.llvm.types import Target
from workers.corpus import pypi
from workers.corpus.packages import PACKAGES, Package
from workers.corpus.sources import CorpusMissing

_EXTENSION = """
#include <Python.h>
static PyObject *add(PyObject *self, PyObject *args) {
  long a, b;
  return PyArg_ParseTuple(args, "ll", &a, &b) ? PyLong_FromLong(a + b) : NULL;
}
static PyMethodDef methods[] = {{"add", add, METH_VARARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "toy", NULL, -1, methods};
PyMODINIT_FUNC PyInit_toy(void) { return PyModule_Create(&module); }
"""


def _archive() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        info = tarfile.TarInfo("toy-1.0/toy.c")
        info.size = len(_EXTENSION)
        tar.addfile(info, io.BytesIO(_EXTENSION.encode()))
    return made.getvalue()


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace pip by one that brings the archive; yield the commands it gets.

    The distribution `toy` is pinned to the archive's digest.
    """
    content, commands = _archive(), []

    def pip(arguments: list[str], place: Path) -> str:
        commands.append(arguments)
        (place / "toy-1.0.tar.gz").write_bytes(content)
        return ""

    monkeypatch.setattr(pypi, "_pip", pip)
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(
        pypi,
        "SDISTS",
        {"toy": pypi.Sdist(version="1.0", sha256=digest, package=_package())},
    )
    return commands


def _package() -> Package:
    return Package(split="train", files=r"\w+\.c")


@pytest.mark.skipif(
    not (Path(sysconfig.get_path("include")) / "Python.h").is_file(),
    reason="Python.h is not here",
)
def test_an_extension_compiles_and_is_fetched_once(
    tmp_path: Path, fetched: list[list[str]]
) -> None:
    for _ in range(2):
        (module,) = pypi.modules("toy", tmp_path, Target())
        assert (module.package, module.name, module.split) == ("toy", "toy.c", "train")
    assert len(fetched) == 1
    assert "--require-hashes" in fetched[0]


def test_another_archive_is_not_taken(
    tmp_path: Path, fetched: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        pypi,
        "SDISTS",
        {"toy": pypi.Sdist(version="1.0", sha256="0" * 64, package=_package())},
    )
    with pytest.raises(CorpusMissing, match=r"toy==1\.0 wrote no archive"):
        pypi.fetch("toy", tmp_path)


def test_pins_are_whole_and_names_are_not_debians() -> None:
    assert not set(pypi.SDISTS) & set(PACKAGES)
    for sdist in pypi.SDISTS.values():
        assert re.fullmatch(r"[0-9a-f]{64}", sdist.sha256)
        assert sdist.package.split in ("train", "val"), "what is held out is fixed"
