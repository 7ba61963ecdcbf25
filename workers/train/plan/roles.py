"""Role model of numbers: goals read by the grammar, roles by their reference graphs, a fit.

A number's role comes from the goal's reference. Where the grammar alone makes the right plan, its
own reading is the role. Elsewhere the number is compared with the values of the reference: equal to
one of a slot that it fits, it has that role (several: any of them is right); equal to none, it has
no role, unless a value of its dimension is left that may be computed from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from search.domains.plan import PlanDomain
from search.domains.plan.reading import read_goal
from search.domains.plan.reading.binding.learned import BIND, UNDERLINE
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.roles.features import NOTHING, Candidate, signs_of
from search.domains.plan.reading.roles.model import BUCKETS, RoleModel, bucket, places
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import Slot
from workers.corpus.goals.files import Contents
from workers.corpus.goals.judge import judge
from workers.corpus.goals.planning import Planner
from workers.corpus.goals.references import Goal

_DECAY = 2.0  # of the squared weights; chosen by leaving authors out
_BLIND = 0.5  # weight of a goal's copy without the grammar's own reading
_STEPS = 50
_LEAST_SEEN = 3  # times; rarer signs are dropped
_LOW, _AVOID = "spec.bands.0.f_lo_hz", "spec.avoid.0.f_lo_hz"


@dataclass(frozen=True, kw_only=True)
class Example:
    """A number with its candidates."""

    author: str
    goal: str
    rows: tuple[NDArray[np.int32], ...]  # places of the signs of each candidate
    right: NDArray[np.bool_]  # [candidates]
    weight: float = 1.0


@dataclass
class Recorder:
    """A model without an opinion that keeps what it is asked."""

    asked: list[tuple[Scene, Quantity, tuple[Candidate, ...]]] = field(
        default_factory=list
    )

    def shares(
        self, scene: Scene, quantity: Quantity, candidates: Sequence[Candidate]
    ) -> Mapping[str, float]:
        """Keep a number."""
        self.asked.append((scene, quantity, tuple(candidates)))
        return {}


def planner(roles: Any) -> Planner:
    """Return the planner of the bench with a model of roles."""
    return Planner(lambda: PlanDomain(read=partial(read_goal, roles=roles)))


def examples(author: str, goals: Sequence[Goal], content: Contents) -> Iterator[Example]:
    """Yield the numbers of some goals of one author."""
    for goal in goals:
        recorder = Recorder()
        files = {name: content(name) for name in goal.files}
        verdict = judge(goal, planner(recorder).plan(goal.text, files).plan)
        right = verdict.right and not verdict.questions
        yield from _of_goal(author, goal, recorder.asked, right=right)


def _of_goal(
    author: str,
    goal: Goal,
    asked: Sequence[tuple[Scene, Quantity, tuple[Candidate, ...]]],
    *,
    right: bool,
) -> Iterator[Example]:
    reference = _wanted(goal)
    fitting = [_fitting(scene, q, row, reference) for scene, q, row in asked]
    met = {path for paths in fitting for path in paths}
    for (scene, quantity, candidates), paths in zip(asked, fitting, strict=True):
        ruled = {c.path for c in candidates if c.ruled}
        if right:
            roles = ruled or {NOTHING}
        elif paths:
            roles = paths
        elif any(c.path in reference and c.path not in met for c in candidates):
            continue  # that value may be computed from this number
        else:
            roles = {NOTHING}
        yield from example(author, goal.id, scene, quantity, candidates, roles)


def example(
    author: str,
    goal: str,
    scene: Scene,
    quantity: Quantity,
    candidates: Sequence[Candidate],
    roles: set[str],
) -> Iterator[Example]:
    """Yield a number as it is, and without the grammar's reading of it.

    The grammar was tuned on some of the authors and is surer of them than it will be of others.
    """
    names = [*(c.path for c in candidates), NOTHING]
    right = np.array([name in roles for name in names])
    if not right.any():
        return
    blind = [replace(c, ruled=False, taken=False) for c in candidates]
    for row, weight in ((candidates, 1.0), (blind, _BLIND)):
        yield Example(
            author=author,
            goal=goal,
            rows=tuple(map(places, signs_of(scene, quantity, row))),
            right=right,
            weight=weight,
        )


def _wanted(goal: Goal) -> dict[str, list[float]]:
    """Return path → numbers of the reference, of any graph and answer."""
    numbers: dict[str, list[float]] = {}

    def add(path: str, value: Any) -> None:
        parts = [p if not p.isdigit() else "0" for p in path.split(".")]
        rows = value if isinstance(value, list | tuple) else [value]
        for number in rows:
            if isinstance(number, list | tuple):
                add(path, number)
            elif isinstance(number, int | float) and not isinstance(number, bool):
                numbers.setdefault(".".join(parts), []).append(float(number))

    for graph in goal.graphs:
        for job in graph.jobs:
            for path, value in job.set.items():
                add(path, value)
            for path, values in job.any_of.items():
                add(path, [v for v in values if v is not None])
    for answer in goal.answers.values():
        for changes in answer.set.values():
            for path, value in changes.items():
                add(path, value)
    for name, path in (("bands", _LOW), ("avoid", _AVOID)):
        low, high = numbers.get(path, []), numbers.pop(f"spec.{name}.0.f_hi_hz", [])
        if low:
            middles = [(a + b) / 2 for a, b in zip(low, high, strict=False)]
            widths = [b - a for a, b in zip(low, high, strict=False)]
            numbers[path] = [*low, *high, *middles]
            if name == "bands":
                numbers["_bandwidth"] = widths
    return numbers


def _fitting(
    scene: Scene,
    quantity: Quantity,
    candidates: Sequence[Candidate],
    wanted: Mapping[str, Sequence[float]],
) -> set[str]:
    """Return the slots whose value in the reference is this number."""
    paths = set()
    for each in candidates:
        slot = next(s[each.path] for s in scene.lexicon.slots.values() if each.path in s)
        values = _values(quantity, slot)
        if any(_same(v, w) for v in values for w in wanted.get(each.path, ())):
            paths.add(each.path)
    return paths


def _values(quantity: Quantity, slot: Slot) -> list[float]:
    assert slot.dimension is not None
    values = list(quantity.reading(slot.dimension) or quantity.numbers)
    if len(values) == 2:
        values.append(values[0] * values[1])
    return [*values, *(-v for v in values if slot.negative), *_powers(values, slot)]


def _powers(values: Sequence[float], slot: Slot) -> list[float]:
    return [v / 1000 * 1024 for v in values] if slot.binary else []


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6)


def fit(
    rows: Sequence[Example], *, weights: Mapping[str, float] | None = None
) -> RoleModel:
    """Fit the conditional logit by L-BFGS. weights: author → weight of its examples."""
    flat = [row for each in rows for row in each.rows]
    sizes = np.array([len(each.rows) for each in rows])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    counts = np.array([len(row) for row in flat])
    signs = csr_matrix(
        (
            np.ones(counts.sum()),
            np.concatenate(flat),
            np.concatenate([[0], np.cumsum(counts)]),
        ),
        shape=(len(flat), BUCKETS),
    )
    seen = np.bincount(signs.indices, minlength=BUCKETS)
    used = np.flatnonzero(seen >= _LEAST_SEEN)
    signs = signs[:, used]
    right = np.concatenate([each.right for each in rows])
    share = np.array([e.weight * (weights or {}).get(e.author, 1.0) for e in rows])
    group = np.repeat(np.arange(len(rows)), sizes)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = signs @ w
        top = np.maximum.reduceat(scores, starts)
        scores = np.exp(scores - top[group])
        all_ = np.add.reduceat(scores, starts)
        good = np.add.reduceat(scores * right, starts)
        value = -(share * np.log(np.maximum(good, 1e-300) / all_)).sum()
        slope = scores / all_[group] - scores * right / np.maximum(good, 1e-300)[group]
        gradient = signs.T @ (slope * share[group])
        return value + 0.5 * _DECAY * float(w @ w), gradient + _DECAY * w

    optimum = minimize(
        loss,
        np.zeros(len(used)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _STEPS},
    )
    table = np.zeros(BUCKETS, dtype=np.float32)
    table[used] = optimum.x
    return RoleModel(weights=table)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures of a model on numbers of an author that it has not seen."""

    numbers: int
    right: int
    bound: int  # slots with at least the probability of `BIND`
    bound_right: int
    nothing: int  # numbers without a role by at least the probability of `UNDERLINE`
    nothing_right: int
    grammar_right: int  # by the grammar alone
    log_loss: float


def measure(model: RoleModel, rows: Sequence[Example]) -> Measured:
    """Compare a model with the roles of some numbers, and the grammar with them."""
    whole = [each for each in rows if each.weight == 1.0]
    chosen = [(each, model.probabilities(each.rows)) for each in whole]
    best = [
        (bool(each.right[p.argmax()]), p.argmax() + 1 == len(p), p.max())
        for each, p in chosen
    ]
    losses = [-math.log(max(float(p[each.right].sum()), 1e-9)) for each, p in chosen]
    bound = [right for right, none, share in best if not none and share >= BIND]
    nothing = [right for right, none, share in best if none and share >= UNDERLINE]
    return Measured(
        numbers=len(whole),
        right=sum(right for right, _, _ in best),
        bound=len(bound),
        bound_right=sum(bound),
        nothing=len(nothing),
        nothing_right=sum(nothing),
        grammar_right=sum(bool(each.right[_ruled(each)]) for each in whole),
        log_loss=float(np.mean(losses)) if losses else 0.0,
    )


def _ruled(each: Example) -> int:
    """Return the candidate that the grammar chose."""
    sign = bucket("+|ruled|True")
    return next((i for i, row in enumerate(each.rows) if sign in row), len(each.rows) - 1)


def calibrated(model: RoleModel, rows: Sequence[Example]) -> float:
    """Return the temperature of least log loss on numbers that the model has not seen."""
    grid = [0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5]
    return min(grid, key=lambda t: measure(replace(model, temperature=t), rows).log_loss)
