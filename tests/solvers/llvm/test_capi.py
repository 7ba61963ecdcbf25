"""LLVM's C API through ctypes, in a process of its own."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from solvers.llvm import capi
from solvers.llvm.install import find_llvm
from tests.solvers.llvm.library import on_module
from tests.solvers.llvm.modules import PROGRAM


def test_texts_that_are_freed_are_returned_as_addresses() -> None:
    for name in (
        "LLVMPrintModuleToString",
        "LLVMNormalizeTargetTriple",
        "LLVMCopyStringRepOfTargetData",
        "LLVMGetErrorMessage",
    ):
        # c_char_p would convert to bytes and lose the address.
        assert capi.SIGNATURES[name][0] is ctypes.c_void_p


def test_version_names_and_counts(tmp_path: Path) -> None:
    code = """
functions = api.each(module.ref, "Function")
blocks = api.each(functions[0], "BasicBlock")
result = {
    "version": api.version,
    "names": [api.name(function) for function in functions],
    "by_counter": module.count(),
    "by_walk": sum(
        len(api.each(block, "Instruction"))
        for function in functions
        for block in api.each(function, "BasicBlock")
    ),
    "blocks": len(blocks),
}
"""
    result = on_module(PROGRAM, code, tmp_path)
    assert result["version"] == find_llvm().version
    assert result["names"] == ["public", "helper", "caller", "strlen"]
    assert result["by_counter"] == result["by_walk"]
    assert result["blocks"] == 4


def test_an_error_is_returned_as_text_once(tmp_path: Path) -> None:
    code = """
reference = api.lib.LLVMRunPasses(module.ref, b"no-such-pass", session.machine, session.options)
result = [api.error(reference), api.error(None), api.message(None)]
"""
    assert on_module(PROGRAM, code, tmp_path) == [
        "unknown pass name 'no-such-pass'",
        None,
        "",
    ]


def test_a_machine_by_llcs_settings_refuses_an_unknown_triple(tmp_path: Path) -> None:
    code = """
try:
    machine = api.machine_by_flags("no-such-target", (), 2)
    result = "none" if machine is None else "made"
except ValueError as error:
    result = str(error)
"""
    result = on_module(PROGRAM, code, tmp_path)
    if result == "none":
        pytest.skip("this library lacks llc's settings")
    assert "no-such-target" in result or "target" in result.lower()
