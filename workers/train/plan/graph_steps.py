"""Training of the graph reader: first without some authors, to measure and calibrate; then on all.

The first training is the measure: exact graphs of authors it has not seen, and a logit of the
confidence fitted on them. The second goes on from its weights, on all goals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from cost_models.weights import FOLDER as SHIPPED
from cost_models.weights.publish import publish
from search.domains.plan.reading.graphs.decode import decoded
from search.domains.plan.reading.graphs.grammar import Labels
from search.domains.plan.reading.graphs.network import Weights, stored
from search.domains.plan.reading.graphs.predict import BEAM, PARTS, signs_of
from search.domains.plan.reading.graphs.words import Pieces, coded
from workers.corpus.goals.files import FOLDER
from workers.train.plan.graph_data import Marked
from workers.train.plan.graph_fit import Plan, State, fit
from workers.train.plan.graph_judge import faults
from workers.train.plan.graph_oracle import Row, labels_of, oracle, rows_of
from workers.train.plan.role_files import digest_of
from workers.train.steps import Say, StepError

_COMMONEST = 8000
_AGAIN = 0.6  # rate of learning of the second training


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a network reads right of goals by an author it has not seen."""

    author: str
    goals: int
    right: int
    signs: tuple[tuple[float, ...], ...]  # of the confidence, of each goal
    verdicts: tuple[bool, ...]

    def __str__(self) -> str:
        return f"{self.author} {self.right}/{self.goals}"


def train(
    *,
    plan: Plan,
    more_epochs: int,
    leave_out: Sequence[str],
    never: Sequence[str],
    files: Sequence[Path],
    work: Path,
    out: Path | None,
    say: Say,
) -> None:
    """Fit, measure, fit on all, publish. Raises StepError for an author that has no marked goals.

    leave_out: authors that the first training has not seen.
    never: authors that neither has seen; what is published is measured and calibrated on them, or
        without any as the first training.
    files: files of marked goals; none: those of the tree. An author is a file's stem.
    """
    sets = {path.stem: path for path in files} or marked_sets()
    if unknown := sorted({*leave_out, *never} - set(sets)):
        raise StepError(
            f"--leave-out: expected some of {', '.join(sets)}, got {', '.join(unknown)}"
        )
    rows = {name: rows_of(path.read_text().splitlines()) for name, path in sets.items()}
    goals = [goal for name, own in rows.items() for goal in marked(name, own)]
    labels = labels_of(goal.graph for goal in goals)
    seen = [goal for goal in goals if goal.author not in (*leave_out, *never)]
    state, vocabulary = fit(seen, labels, plan, work=work / "first.pt", say=say)
    weights = weights_of(state, labels, vocabulary)
    measured = [measure(weights, name, rows[name]) for name in (*leave_out, *never)]
    say(f"left out: {_listed(measured)} graphs right")
    final = replace(plan, epochs=more_epochs, seed=plan.seed + 1, rate=_AGAIN)
    rest = [goal for goal in goals if goal.author not in never]
    state, _ = fit(
        rest, labels, final, work=work / "all.pt", say=say, start=(state, labels)
    )
    if never:
        weights = weights_of(state, labels, vocabulary)
        last = [measure(weights, name, rows[name]) for name in never]
        say(f"never seen: {_listed(last)} graphs right")
    calibration = calibrated(last if never else measured)
    publish_parts(
        stored_of(state, labels, vocabulary, calibration),
        folder=out or SHIPPED,
        command=(
            f"python -m workers.train plan graphs --epochs {plan.epochs} --more-epochs "
            f"{more_epochs} --layers {plan.sizes.layers} --seed {plan.seed} --leave-out "
            f"{' '.join(leave_out)} --never {' '.join(never)}"
        ),
        data=digest_of(list(sets.values())),
        metric=f"graphs right of authors left out: {_listed(measured)}"
        + (f"; as published: {_listed(last)}" if never else ""),
    )


def publish_parts(
    arrays: Mapping[str, Any], *, folder: Path, command: str, data: str, metric: str
) -> None:
    """Publish arrays in files of about equal size, as `predict.PARTS` names them."""
    parts: list[dict[str, Any]] = [{} for _ in PARTS]
    for name in sorted(arrays, key=lambda name: (-arrays[name].nbytes, name)):
        least = min(parts, key=lambda part: sum(a.nbytes for a in part.values()))
        least[name] = arrays[name]
    for part, own in zip(PARTS, parts, strict=True):
        publish(part, own, folder=folder, command=command, data=data, metric=metric)


def _listed(measured: Sequence[Measured]) -> str:
    return ", ".join(map(str, measured))


def marked_sets(folder: Path = FOLDER) -> dict[str, Path]:
    """Return the open sets of the tree whose goals have marks, by author."""
    found = {}
    for path in sorted(folder.glob("*.jsonl")):
        with path.open() as file:
            if "marks" in json.loads(file.readline() or "{}"):
                found[path.stem] = path
    return found


def marked(author: str, rows: Sequence[Row]) -> list[Marked]:
    """Return the goals of an author whose marks say the whole graph."""
    found = []
    for row in rows:
        graph = oracle(row)
        if graph is not None:
            found.append(
                Marked(
                    id=row["id"],
                    author=author,
                    stratum=row["stratum"],
                    text=row["goal"],
                    files=tuple(row["files"]),
                    graph=graph,
                )
            )
    return found


def weights_of(
    state: State,
    labels: Labels,
    vocabulary: Mapping[str, int],
    calibration: Sequence[float] = (0.0, 1.0, 0.0, 0.0, 0.0),
) -> Weights:
    """Return a trained network as the reader runs it, rounded as it is shipped."""
    return Weights.of(stored_of(state, labels, vocabulary, calibration))


def stored_of(
    state: State,
    labels: Labels,
    vocabulary: Mapping[str, int],
    calibration: Sequence[float],
) -> dict[str, Any]:
    """Return the arrays of a file of weights: the running mean of the weights.

    Of MiniLM's pieces the first, which are the commonest, and those of the training goals stay.
    """
    sizes = state.net.sizes
    arrays = {name: array.numpy() for name, array in state.mean.items()}
    kept = sorted(i for i in vocabulary.values() if i < _COMMONEST or i in state.pieces)
    arrays["pieces.weight"] = arrays["pieces.weight"][kept]
    new = {old: i for i, old in enumerate(kept)}
    meta = {
        "labels": list(labels.names),
        "kinds": {name: list(kinds) for name, kinds in labels.kinds.items()},
        "vocabulary": {name: new[i] for name, i in vocabulary.items() if i in new},
        "calibration": list(calibration),
        "layers": sizes.layers,
        "decoder_layers": sizes.decoder_layers,
    }
    return stored(arrays, meta)


def measure(weights: Weights, author: str, rows: Sequence[Row]) -> Measured:
    """Return how many graphs of an author are read right, with the signs of the confidence."""
    pieces = Pieces(weights.vocabulary)
    signs, verdicts = [], []
    for row in rows:
        if oracle(row) is None:
            continue
        words = coded(row["goal"], row["files"], pieces)
        found = decoded(weights, words, width=BEAM) if words is not None else []
        graph = found[0].machine.graph() if found else None
        verdicts.append(not faults(row, graph))
        signs.append(signs_of(found) if found else (-60.0, -10.0, 0.0, 15.0))
    return Measured(
        author=author,
        goals=len(verdicts),
        right=sum(verdicts),
        signs=tuple(signs),
        verdicts=tuple(verdicts),
    )


def calibrated(measured: Sequence[Measured]) -> tuple[float, ...]:
    """Return constant and slopes of the logit that a graph is right (maximal likelihood, ridge)."""
    x = np.array([s for each in measured for s in each.signs])
    y = np.array([v for each in measured for v in each.verdicts], dtype=float)
    if len(y) < 20:
        return (0.0, 1.0, 0.0, 0.0, 0.0)
    x = np.concatenate([np.ones((len(x), 1)), x], 1)

    def cost(w: np.ndarray) -> float:
        z = x @ w
        return float((np.logaddexp(0, z) - y * z).sum() + 0.05 * (w[1:] ** 2).sum())

    found = minimize(cost, np.zeros(x.shape[1]), method="L-BFGS-B").x
    return tuple(round(float(w), 5) for w in found)
