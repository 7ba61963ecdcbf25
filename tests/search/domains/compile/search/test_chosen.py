"""A fitted coreset is used where it was mined with the same LLVM for the same objective."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from search import pipeline
from search.domains.compile import build
from search.domains.compile.search.coreset import load_coreset
from search.domains.compile.search.fitted import FittedCoreset
from search.model_files import ModelOffer, RegisteredModel, write_model
from search.stop import from_budget
from search.types import InvalidInput
from solvers.llvm.install import find_llvm
from solvers.llvm.types import Metric, Target
from tests.search.domains.compile.test_domain import PROGRAM
from trimtab.specs.compile import CompileSpec, Language

NAME = "mdl_" + "0" * 26


def registered(folder: Path, **scope: Any) -> RegisteredModel:
    candidates = load_coreset(Metric.LOADABLE_BYTES)[3:5]
    coreset = FittedCoreset(metric=Metric.LOADABLE_BYTES, candidates=candidates)
    stated = {"llvm": find_llvm().build_id, "triple": Target().triple, **scope}
    path = folder / "model.safetensors"
    write_model(path, coreset.arrays(), target="compile", scope=stated)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return RegisteredModel(id=NAME, sha256=sha256, path=path)


def used(folder: Path, offer: ModelOffer) -> tuple[dict[str, Any], str]:
    domain = build()
    domain.take_models(offer)
    stop = from_budget({"seconds": 30.0, "evaluations": 4}, threading.Event())
    work = folder / "work"
    work.mkdir()
    spec = CompileSpec(source_text=PROGRAM, language=Language.C)
    result = pipeline.run(domain, spec, inputs={}, workdir=work, stop=stop, seed=1).result
    summary: dict[str, Any] = result.summary
    return summary["model_used"], summary["policy"]


def test_a_fitted_coreset_is_tried_before_the_shipped_one(tmp_path: Path) -> None:
    model, policy = used(tmp_path, ModelOffer(models=(registered(tmp_path),)))
    assert model["id"] == NAME
    assert policy == "order of the fitted coreset, then the shipped"


def test_one_of_another_llvm_is_left_out(tmp_path: Path) -> None:
    offer = ModelOffer(models=(registered(tmp_path, llvm="llvm-1"),))
    model, _ = used(tmp_path, offer)
    assert model["id"] == "shipped"
    assert "mined with llvm llvm-1" in model["reason"]


def test_a_named_model_that_is_not_registered_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected one that the registry lists"):
        used(tmp_path, ModelOffer(wanted=NAME))
