"""Tables out of TorchRec modules, and plans that do not belong to a module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.trimtab.torchrec.test_executed import ROOT, equal_widths_per_rank
from trimtab.torchrec import TorchRecMissing, from_modules

# TorchRec warns in many ways while it is imported, so it is imported in a process of its own.
SCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
from torchrec import EmbeddingBagCollection, EmbeddingBagConfig
from trimtab.specs.sharding import ShardingPlan
from trimtab.torchrec import PlanMismatch, from_modules, to_torchrec

def bags(*tables):
    configs = [
        EmbeddingBagConfig(name=n, num_embeddings=r, embedding_dim=d, feature_names=f)
        for n, r, d, f in tables
    ]
    return EmbeddingBagCollection(tables=configs, device=torch.device("meta"))

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.left = bags(("user", 1000, 64, ["u"]), ("item", 50, 16, ["i", "j"]))
        self.right = bags(("user", 7, 8, ["v"]))

found = from_modules(Model(), pooling={"u": 3.0, "i": 2.0, "j": 5.0})
plan = ShardingPlan.model_validate(json.loads(open(sys.argv[1]).read()), strict=False)
faults = []
for module in (
    bags(("a", 100, 16, ["f"]), ("b", 999, 64, ["g"])),
    bags(("zz", 1, 8, ["f"])),
    torch.nn.Linear(1, 1),
):
    try:
        to_torchrec(plan, module)
    except PlanMismatch as error:
        faults.append(str(error))
whole = bags(
    *(
        (t.name, t.rows, t.dim, [f"{t.name}{i}" for i in range(t.features)])
        for t in plan.tables
    )
)
sharded = to_torchrec(plan, whole).plan[""]
kinds = {
    name: [s.sharding_type, s.ranks, [m.shard_sizes[1] for m in s.sharding_spec.shards]]
    for name, s in sharded.items()
}
tables = [[t.name, t.rows, t.dim, t.pooling] for t in found]
print(json.dumps({"tables": tables, "faults": faults, "kinds": kinds}))
"""


@pytest.mark.torchrec
@pytest.mark.skipif(
    find_spec("torchrec") is None,
    reason="TorchRec is an optional extra: make setup-torch",
)
def test_modules_to_tables_and_plans_back(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(equal_widths_per_rank().model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(plan)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["tables"] == [
        ["left/user", 1000, 64, 3.0],
        ["item", 50, 16, 7.0],
        ["right/user", 7, 8, 1.0],
    ]
    other_rows, unknown, no_tables = report["faults"]
    assert "1000 x 64, the module has 999 x 64" in other_rows
    assert "'zz'" in unknown
    assert "expected an EmbeddingBagCollection" in no_tables
    assert report["kinds"] == {
        "a": ["table_wise", [1], [16]],
        "b": ["column_wise", [1, 0], [32, 32]],
        "c": ["column_wise", [0, 1, 1], [64, 32, 32]],
    }


def test_without_torchrec_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torchrec.modules.embedding_modules", None)
    with pytest.raises(TorchRecMissing, match="pip install --no-deps torchrec"):
        from_modules(object())
