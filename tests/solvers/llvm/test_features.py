"""Feature vectors of a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.llvm.features import AUTOPHASE_NAMES, INST_COUNT_NAMES, Features
from tests.solvers.llvm.library import on_module
from tests.solvers.llvm.modules import PROGRAM

REPLY = {"autophase": [0] * 56, "inst_count": [0] * 70, "native": [1]}


def test_counts_equal_those_of_the_text(tmp_path: Path) -> None:
    code = "from solvers.llvm.features import features_of\nresult = features_of(module)"
    features = Features.from_reply(on_module(PROGRAM, code, tmp_path))
    autophase = dict(zip(AUTOPHASE_NAMES, features.autophase.tolist(), strict=True))
    counts = dict(zip(INST_COUNT_NAMES, features.inst_count.tolist(), strict=True))
    text = PROGRAM.decode()
    for name, in_autophase, opcode in (
        ("StoreCount", "NumStoreInst", "store "),
        ("LoadCount", "NumLoadInst", " = load "),
        ("GetElementPtrCount", "NumGetElementPtrInst", " = getelementptr "),
        ("AllocaCount", "NumAllocaInst", " = alloca "),
        ("CallCount", "NumCallInst", " = call "),
    ):
        assert counts[name] == autophase[in_autophase] == text.count(opcode), name
    memory = ("Store", "Load", "GetElementPtr", "Alloca", "Call")
    assert autophase["TotalMemInst"] == sum(counts[f"{name}Count"] for name in memory)
    assert counts["TotalFuncsCount"] == autophase["TotalFuncs"] == 4, "declarations, too"
    assert counts["BrCount"] == text.count(" br ")
    assert autophase["UncondBranches"] == text.count("br label")
    assert counts["TotalInstsCount"] == sum(features.inst_count[3:])


def test_a_reply_of_another_shape_is_refused() -> None:
    assert Features.from_reply(REPLY).native
    message = r"features.inst_count: expected shape \(70,\), got \(69,\)"
    with pytest.raises(ValueError, match=message):
        Features.from_reply(REPLY | {"inst_count": [0] * 69})
    with pytest.raises(KeyError):
        Features.from_reply({"autophase": [0] * 56})
