"""The searches on one small module: equal budgets, never larger than -Oz."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from search.domains.compile.search.coreset import load_coreset
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.types import Target
from tests.workers.corpus import toy
from workers.bench.compile import cli
from workers.bench.compile.methods import METHODS


def test_every_method_gets_its_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.c").write_text(toy.functions(4))
    (bitcode,) = compile_to_bitcode([tmp_path / "a.c"], workdir=tmp_path, target=Target())
    sha = hashlib.sha256(bitcode).hexdigest()
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / f"{sha[:16]}.bc").write_bytes(bitcode)
    row = {
        "sha": sha,
        "set": "debian",
        "package": "toy",
        "name": "a.c",
        "split": "heldout",
        "ir_instructions": 200,
    }
    (tmp_path / "modules.jsonl").write_text(json.dumps(row) + "\n")
    out = tmp_path / "out.jsonl"
    assert (
        cli.main(["--corpus", str(tmp_path), "--budgets", "1", "6", "--out", str(out)])
        == 0
    )
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    requested = set(METHODS) - {
        "without-policy"
    }  # on request: none is published now, and the rows would be the same
    budgets = {
        name: (1, 6) if name != "oracle" else (len(load_coreset()),) for name in requested
    }
    assert {(line["method"], line["pipelines"]) for line in lines} == {
        (m, b) for m in requested for b in budgets[m]
    }
    assert all(line["best"]["loadable"] <= line["oz"]["loadable"] for line in lines)
    assert "trimtab" in capsys.readouterr().out


def test_without_a_corpus_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--corpus", str(tmp_path)]) == 2
    assert "python -m workers.corpus" in capsys.readouterr().err
