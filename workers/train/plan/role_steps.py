"""Training of the role model: examples, one fit for each author left out, the shipped fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cost_models.weights import FOLDER as SHIPPED
from cost_models.weights.publish import publish
from search.domains.plan.domain import OFFERED
from search.domains.plan.reading import __file__ as reading
from search.domains.plan.reading.roles.model import NAME
from workers.corpus.goals.files import FOLDER, contents
from workers.corpus.goals.references import load
from workers.train.plan.phrasings import __file__ as phrasings
from workers.train.plan.phrasings import examples as made_up_examples
from workers.train.plan.role_files import (
    digest_of,
    kept,
    kept_model,
    model_in,
    without,
    write_model,
)
from workers.train.plan.roles import Example, calibrated, examples, fit, measure
from workers.train.steps import Say, StepError

AUTHORS = (
    "developer",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
)
UNTUNED = ("eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth")
"""Authors whom the grammar was not tuned on, or least."""
WEIGHTS = {"made up": 0.5, **dict.fromkeys(UNTUNED, 2.0)}


def train(
    *,
    made_up: int,
    seed: int,
    leave_out: Sequence[str] | None,
    work: Path,
    out: Path | None,
    say: Say,
) -> None:
    """Make the examples, measure with one author left out at a time, fit on all, publish.

    Models that have not seen an author stay in `work`, for `workers.bench plan authors --unseen`.
    Raises StepError for an unknown author.
    """
    left_out = UNTUNED if leave_out is None else tuple(leave_out)
    if unknown := sorted(set(left_out) - set(AUTHORS)):
        raise StepError(
            f"--leave-out: expected some of {', '.join(AUTHORS)}, got {', '.join(unknown)}"
        )
    code = digest_of(sorted(Path(reading).parent.rglob("*.py")))
    rows, source = _examples(made_up, seed, work, code, say)
    unseen: list[str] = []
    temperatures = []
    for author in left_out:
        rest = [e for name, own in rows.items() if name != author for e in own]
        model = kept_model(
            without(work / source[:16], author),
            lambda rest=rest: fit(rest, weights=WEIGHTS),  # type: ignore[misc]
        )
        model = replace(model, temperature=1.0)
        temperatures.append(calibrated(model, rows[author]))
        measured = measure(model, rows[author])
        unseen.append(f"{author} {measured.right}/{measured.numbers}")
        say(f"{author} left out: {measured}, temperature {temperatures[-1]}")
    for i, author in enumerate(left_out if len(left_out) > 1 else ()):
        others = float(np.mean([*temperatures[:i], *temperatures[i + 1 :]]))
        path = without(work / source[:16], author)
        write_model(path, replace(model_in(path), temperature=others))
    model = fit([e for own in rows.values() for e in own], weights=WEIGHTS)
    temperature = float(np.mean(temperatures)) if temperatures else 1.0
    model = replace(model, temperature=temperature)
    publish(
        NAME,
        {
            "weights": model.weights.astype(np.float16),
            "temperature": np.array([temperature], dtype=np.float32),
        },
        folder=out or SHIPPED,
        command=f"python -m workers.train plan roles --made-up {made_up} --seed {seed}",
        data=source,
        metric="roles of numbers right, authors left out in turn: " + ", ".join(unseen),
    )


def _examples(
    made_up: int, seed: int, work: Path, code: str, say: Say
) -> tuple[dict[str, list[Example]], str]:
    """Return the examples of each author and of made-up goals, and the hash of their sources."""
    content = contents()
    rows = {}
    paths = [FOLDER / f"{name}.jsonl" for name in AUTHORS]
    for name, path in zip(AUTHORS, paths, strict=True):
        source = digest_of([path], code)
        rows[name] = kept(
            work,
            name,
            source,
            lambda n=name, p=path: examples(n, load(p), content),  # type: ignore[misc]
        )
        say(f"{name}: {len(rows[name])} examples")
    texts = [Path(phrasings).with_suffix(".toml")]
    rows["made up"] = kept(
        work,
        f"made-up-{made_up}-{seed}",
        digest_of(texts, code),
        lambda: made_up_examples(made_up, content, OFFERED, seed=seed),
    )
    say(f"made up: {len(rows['made up'])} examples")
    return rows, digest_of([*paths, *texts], code, f"{made_up} {seed}")
