"""A job of kind `learn` on measurements of a device: the figures of its card."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.learn import build
from search.stop import from_budget
from trimtab.cards import Card, means
from trimtab.specs.common import ArtifactRef
from trimtab.specs.learn import CARD_FILE, LearnSpec, ShardingLearnOptions, Target
from workers.learn.table import learners

_SECONDS = 600.0  # of the clock; the fit ends by its steps


def judge(file: Path, seed: int, *, steps: int) -> dict[str, Any]:
    """Fit the shipped cost model to three quarters of a file, and judge it by the others.

    steps: of the fine-tuning, at most. `fitted` and `shipped` of the line are the mean absolute
    percentage errors on the held-out sets.
    """
    digest = "sha256:" + "0" * 64  # the run reads the file and not the store
    spec = LearnSpec(
        target=Target.SHARDING,
        instances=(ArtifactRef(digest=digest, name=file.name),),
        sharding=ShardingLearnOptions(steps=steps),
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline.run(
            build(learners()),
            spec,
            inputs={"instances.0": file},
            workdir=Path(folder),
            stop=from_budget({"seconds": _SECONDS}, threading.Event()),
            seed=seed,
        )
        card = Card.model_validate_json((Path(folder) / CARD_FILE).read_bytes())
    shipped, fitted = means(card)
    return {
        "file": file.name,
        "run": seed,
        "shipped": round(shipped, 2),
        "fitted": round(fitted, 2),
        "difference": [
            round(value, 2)
            for value in (card.difference.mean, card.difference.low, card.difference.high)
        ],
        "decision": card.decision.value,
        "sizes": card.sizes.model_dump(),
    }
