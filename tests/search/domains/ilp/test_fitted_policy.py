"""Jobs use a policy that was fitted to their family, and say so."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnn.policies import out_of_distribution
from search import pipeline
from search.domains.ilp import build
from search.domains.ilp.search import supervisor
from search.domains.ilp.search.lns_process import run_lns
from search.lns.arms import ArmParts, make_arms
from search.lns.features import GraphBuilder, RowFeature, VariableFeature
from search.lns.fitted_policy import TARGET, damage, scope_of
from search.lns.guide import Guide
from search.lns.sub_mip import Slicer
from search.model_files import ModelOffer, RegisteredModel, write_model
from search.stop import from_budget
from search.types import InvalidInput
from solvers.relaxation import Relaxation
from solvers.types import MilpModel
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import IlpSpec, Neighbourhood
from workers.corpus.mixed_programs import generate
from workers.corpus.mps import write_mps


def policy_for(model: MilpModel) -> dict[str, np.ndarray]:
    """A linear policy that orders by the LP difference, for this model's family."""
    variables, rows = len(VariableFeature), len(RowFeature)
    weight = np.zeros((1, variables + rows), dtype=np.float32)
    weight[0, VariableFeature.INCUMBENT_DIFFERENCE] = 1.0
    summary = GraphBuilder(model, Relaxation(model).root()).summary()
    arrays = {
        "skip.weight": weight,
        "skip.bias": np.zeros(1, dtype=np.float32),
        **out_of_distribution.fit({"fitted": summary[None]}),
    }
    for name, size in (("variable", variables), ("row", rows), ("edge", 2)):
        arrays[f"{name}_mean"] = np.zeros(size, dtype=np.float32)
        arrays[f"{name}_std"] = np.ones(size, dtype=np.float32)
    return arrays


def registered(path: Path) -> RegisteredModel:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return RegisteredModel(id="mdl_" + "0" * 26, sha256=digest, path=path)


def run(folder: Path, model: MilpModel, offer: ModelOffer) -> dict[str, Any]:
    write_mps(model, folder / "model.mps")
    spec = IlpSpec(model=ArtifactRef(digest="sha256:" + "0" * 64, name="model.mps"))
    domain = build()
    domain.take_models(offer)
    finished = pipeline.run(
        domain,
        spec,
        inputs={"model": folder / "model.mps"},
        workdir=folder,
        stop=from_budget({"seconds": 4.0}, threading.Event()),
        seed=1,
    )
    return finished.result.summary


def test_the_policy_reaches_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = generate("lot-sizing", 1000, size="tiny", regime="recurring")
    relative = generate("lot-sizing", 1, size="tiny", regime="recurring")
    path = tmp_path / "policy.safetensors"
    write_model(path, policy_for(relative), target=TARGET, scope=scope_of([relative]))
    given: list[Any] = []

    def recorded(*args: Any, policy: Any, **more: Any) -> Any:
        given.append(policy)
        return run_lns(*args, policy=policy, **more)

    monkeypatch.setattr(supervisor, "run_lns", recorded)
    summary = run(tmp_path, model, ModelOffer(models=(registered(path),)))
    assert summary["model_used"]["id"] == "mdl_" + "0" * 26
    assert "scope covers" in summary["model_used"]["reason"]
    assert set(given[0]) == set(policy_for(relative))


def test_the_arm_of_a_fitted_policy_chooses_by_its_scores() -> None:
    model = generate("lot-sizing", 1000, size="tiny", regime="recurring")
    relative = generate("lot-sizing", 1, size="tiny", regime="recurring")
    guide, notes = Guide(model), list[str]()
    parts = ArmParts(
        guide=guide, slicer=Slicer(model), policy=policy_for(relative), note=notes.append
    )
    arm = make_arms((Neighbourhood.CL_LNS,), parts)[0].heuristic
    x = model.integrality.astype(float)  # all set-ups on
    assert arm.ready(x), notes
    free = arm.choose(x, 5, np.random.default_rng(0), np.ones(model.n, dtype=bool))
    root = guide.root()
    assert root is not None
    difference = guide.difference(x, root.x)
    chosen, others = free & model.integrality, ~free & model.integrality
    assert chosen.sum() == 5
    assert difference[chosen].min() >= difference[others].max() - 1e-6


def test_a_model_of_another_family_keeps_the_default_arms(tmp_path: Path) -> None:
    relative = generate("lot-sizing", 1, size="tiny", regime="recurring")
    path = tmp_path / "policy.safetensors"
    write_model(path, policy_for(relative), target=TARGET, scope=scope_of([relative]))
    model = generate("facility-location", 1000, size="tiny")
    summary = run(tmp_path, model, ModelOffer(models=(registered(path),)))
    assert summary["model_used"]["id"] == "shipped"
    assert "continuous" in summary["model_used"]["reason"]
    assert "cl-lns" not in summary.get("lns_arms", {})


def test_damaged_policies_are_refused(tmp_path: Path) -> None:
    relative = generate("lot-sizing", 1, size="tiny", regime="recurring")
    arrays = policy_for(relative)
    assert damage(arrays) == ""
    for name in ("skip.weight", "home.radii", "row_std"):
        assert name in damage({k: v for k, v in arrays.items() if k != name})
    assert "features" in damage({**arrays, "variable_mean": np.zeros(999)})
    path = tmp_path / "policy.safetensors"
    write_model(path, arrays, target="sharding", scope={})
    wanted = ModelOffer(wanted="mdl_" + "0" * 26, models=(registered(path),))
    with pytest.raises(InvalidInput, match=r"model: .*expected a model for kind ilp"):
        run(tmp_path, relative, wanted)
