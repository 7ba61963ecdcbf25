"""Modules in libLLVM's memory, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.llvm.module import OF_MACHINE, STEERING
from tests.solvers.llvm.library import on_module
from tests.solvers.llvm.modules import PLAIN, PROGRAM


def test_symbols_linkage_and_visibility(tmp_path: Path) -> None:
    text = b"""
@exported = global i32 0
@hidden = hidden global i32 0
@local = internal global i32 0
@weak = weak global i32 0
@discardable = linkonce_odr global i32 0
@alias = alias i32, ptr @exported
declare void @elsewhere()
declare void @llvm.trap()
define protected void @f() {
  call void @elsewhere()
  call void @llvm.trap()
  ret void
}
"""
    result = on_module(text, "result = [module.exported(), module.declared()]", tmp_path)
    exported = {
        "exported": "external",
        "hidden": "external hidden",
        "weak": "weak",
        "alias": "external",
        "f": "external protected",
    }
    assert result == [exported, ["elsewhere"]]


def test_attributes_are_set_on_defined_functions_only(tmp_path: Path) -> None:
    code = """
result = [
    module.set_attribute("helper", "noinline", added=True),
    module.set_attribute("helper", "readnone", added=True),
    module.set_attribute("strlen", "cold", added=True),
    module.function("helper\\0") is None,
]
"""
    added, unknown, declared, absent = on_module(PROGRAM, code, tmp_path)
    assert added is None
    assert all(word in unknown for word in STEERING)
    assert "does not define function 'strlen'" in declared
    assert absent


def test_library_functions_are_forbidden_everywhere(tmp_path: Path) -> None:
    code = """
result = [
    module.set_attribute("*", "no-builtin-memchr", added=True),
    module.set_attribute("*", "no-builtin-a b", added=True),
    module.set_attribute("*", "no-builtin-memchr", added=False),
    module.set_attribute("*", "noinline", added=True),
    module.set_attribute("helper", "no-builtin-memchr", added=True),
    module.text(),
]
"""
    forbidden, *refused, text = on_module(PROGRAM, code, tmp_path)
    assert forbidden is None
    assert all("expected" in problem for problem in refused)
    assert '"no-builtin-memchr"' in text
    assert "no-builtin-a" not in text


def test_a_clone_is_independent(tmp_path: Path) -> None:
    code = """
copy = module.clone()
problem = copy.run("default<Oz>") or copy.verify()
result = [problem, module.count(), copy.count(), module.verify()]
copy.dispose()
"""
    problem, original, optimised, invalid = on_module(PROGRAM, code, tmp_path)
    assert problem is None
    assert invalid is None
    assert 0 < optimised < original


def test_target_attributes_are_completed_once(tmp_path: Path) -> None:
    code = "result = [module.complete(), module.complete(), module.text()]"
    first, second, text = on_module(PLAIN, code, tmp_path)
    assert (first, second) == (1, 0)
    assert '"target-cpu"="x86-64"' in text


def test_a_machines_settings_are_separate_from_options(tmp_path: Path) -> None:
    code = """
words = ("-function-sections", "-enable-machine-outliner=never")
other = Session(api, **target, codegen=words)
result = [list(other.words), list(other.base_options), other.machine_words]
"""
    settings, options, machine = on_module(PLAIN, code, tmp_path)
    assert settings == ["-function-sections"]
    assert settings[0] in OF_MACHINE
    assert options == ["-enable-machine-outliner=never"]
    assert machine == ["-relocation-model=pic", "-mcpu=x86-64", "-function-sections"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("features='sse2'", "expected +name or -name"),
        ("cpu='-x'", "cpu: expected a name"),
        ("triple='wasm32-unknown-unknown'", "a target with ELF objects"),
    ],
)
def test_bad_targets_are_refused(change: str, message: str, tmp_path: Path) -> None:
    code = f"""
from solvers.llvm.module import Refused
try:
    Session(api, **(target | dict({change})))
except Refused as refused:
    result = [refused.what, str(refused)]
"""
    what, text = on_module(PLAIN, code, tmp_path)
    assert what == "target"
    assert message in text
