"""`trimtab.torchrec` accounts for every embedding parameter: planned, refused or warned about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.torchrec,
    pytest.mark.skipif(
        find_spec("torchrec") is None,
        reason="TorchRec is an optional extra: make setup-torch",
    ),
]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """Outcome of each case of `converters.py`; TorchRec is imported once, in its own process."""
    script = Path(__file__).with_name("converters.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("case", "tables"),
    [
        ("plain", [["t", 1000, 64, 1.0, 1, "fp32"]]),
        ("bf16", [["t", 1000, 64, 1.0, 1, "bf16"]]),
        ("fp16", [["t", 1000, 64, 1.0, 1, "fp16"]]),
        ("8 features", [["t", 1000, 64, 8.0, 8, "fp32"]]),
        ("pooling by feature", [["t", 1000, 64, 12.0, 3, "fp32"]]),
        ("pooling of every feature", [["t", 1000, 64, 6.0, 3, "fp32"]]),
        ("no feature names", [["t", 1000, 64, 5.0, 1, "fp32"]]),
        ("list of configs", [["t", 1000, 64, 1.0, 1, "fp32"]]),
        ("sequences left out", [["a", 1000, 64, 1.0, 1, "fp32"]]),
    ],
)
def test_planned(outcomes: dict[str, Any], case: str, tables: list[Any]) -> None:
    assert outcomes[case] == {"tables": tables, "warnings": []}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        *(
            (kind, ["table 't'", kind.upper(), "FP32, FP16, BF16"])
            for kind in ("int8", "int4", "int2", "nfp8", "uint8")
        ),
        ("virtual table", ["table 't'", "use_virtual_table"]),
        ("dim 10", ["table 't'", "multiple of 4", "got 10", "make it 12"]),
        ("dim 2", ["table 't'", "got 2", "make it 4"]),
        (
            "pooling names a table",
            ["pooling", "'user'", "table 'user' has the features 'uid'"],
        ),
        ("pooling misspelt", ["pooling", "'user_idd'", "did you mean 'user_id'?"]),
        ("pooling of nothing", ["pooling", "'zzz'", "features are 'f'"]),
        ("pooling not positive", ["table 't'", "pooling", "greater than 0"]),
        ("access misspelt", ["access", "'items'", "did you mean 'item'?"]),
        ("access names a feature", ["access", "'uid'", "looks up table 'user'"]),
        (
            "sequences",
            ["sequences (EmbeddingCollection, 11.9 GiB)", "leave_out=['sequences']"],
        ),
        ("sequence configs", ["EmbeddingConfig", "'s'"]),
        (
            "managed collision",
            ["mc (ManagedCollisionEmbeddingBagCollection", "collision tables"],
        ),
        ("fused", ["fused (FusedEmbeddingBagCollection", "EmbeddingBagCollection"]),
        ("feature processed", ["fp (FeatureProcessedEmbeddingBagCollection"]),
        ("quantized", ["q (quantized EmbeddingBagCollection", "already quantized"]),
        ("leave_out of nothing", ["leave_out", "'sequence'", "bags, sequences"]),
        ("no tables", ["expected an EmbeddingBagCollection in it, got Linear"]),
        (
            "to: sequences",
            ["sequences (EmbeddingCollection", "keeps it whole on every rank"],
        ),
        ("to: other features", ["table 't'", "1 features", "the module has 2"]),
        ("to: other type", ["table 't'", "fp32", "bf16"]),
        ("to: plan has more tables", ["'u'", "the module does not have"]),
    ],
)
def test_refused_by_name(outcomes: dict[str, Any], case: str, words: list[str]) -> None:
    refusal = outcomes[case].get("refused", "")
    for word in words:
        assert word in refusal, outcomes[case]


def test_plain_torch_tables_are_warned_about(outcomes: dict[str, Any]) -> None:
    outcome = outcomes["plain torch tables"]
    assert outcome["tables"] == [["a", 1000, 64, 1.0, 1, "fp32"]]
    (warning,) = outcome["warnings"]
    for word in (
        "position (Embedding",
        "bag (EmbeddingBag",
        "head.weight (10000 x 100000, 3.73 GiB)",
        "memory_gib",
    ):
        assert word in warning
    assert "small" not in warning


def test_to_torchrec_places_on_the_device_type(outcomes: dict[str, Any]) -> None:
    assert outcomes["to: cpu"]["placement"] == "rank:1/cpu"
    assert outcomes["to: cuda"]["placement"] == "rank:1/cuda:1"
