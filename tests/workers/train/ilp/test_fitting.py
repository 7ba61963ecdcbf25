"""A policy fitted to a family of tiny mixed programs."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gnn.policies.neighbourhood import NeighbourhoodPolicy  # noqa: E402
from gnn.policies.neighbourhood_numpy import NeighbourhoodNet  # noqa: E402
from gnn.policies.out_of_distribution import MARGIN, ood_score  # noqa: E402
from search.lns.features import GraphBuilder, RowFeature, VariableFeature  # noqa: E402
from search.lns.fitted_policy import misfit, scope_of  # noqa: E402
from solvers.relaxation import Relaxation  # noqa: E402
from workers.corpus.mixed_programs import generate  # noqa: E402
from workers.train.ilp.examples import examples_of  # noqa: E402
from workers.train.ilp.fitting import (  # noqa: E402
    CannotFit,
    Progress,
    area_of,
    evaluate,
    fit,
    key_of,
    load_policy,
)
from workers.train.ilp.linear import fit_policy  # noqa: E402
from workers.train.ilp.states import State  # noqa: E402
from workers.train.ilp.trial import CpuDeadline, first_solution  # noqa: E402


def instances(count: int, first: int = 1) -> list:
    return [
        generate("lot-sizing", seed, size="tiny", regime="recurring")
        for seed in range(first, first + count)
    ]


def test_a_policy_is_fitted_resumes_and_joins_the_arms(tmp_path: Path) -> None:
    models = instances(3)
    steps: list[Progress] = []
    path = fit(models, seconds=7.0, seed=0, folder=tmp_path, progress=steps.append)
    assert [at.step for at in steps if at.stage == "collect"] == [1, 2, 3]
    policy = load_policy(path)
    assert "head.2.weight" not in policy, "three instances teach the linear part alone"
    # Complete instances are not collected again, and the fit is the same.
    steps.clear()
    fit(models, seconds=7.0, seed=0, folder=tmp_path, progress=steps.append)
    assert not [at for at in steps if at.stage == "collect"]
    for name, array in load_policy(path).items():
        np.testing.assert_array_equal(array, policy[name])
    # The next instance of the family is none of the strangers that disable the arm.
    held_out = generate("lot-sizing", 1000, size="tiny", regime="recurring")
    root = Relaxation(held_out).root()
    assert ood_score(GraphBuilder(held_out, root).summary(), policy) < MARGIN
    start = first_solution(held_out, seconds=10.0, rng=np.random.default_rng(0))
    judged = evaluate(
        held_out, policy, seconds=1.0, seed=0, start=start, bound=root.objective
    )
    assert judged is not None
    assert 0 < judged.area <= 1
    assert judged.objective <= held_out.objective(start)


def test_nothing_to_learn_from_ends_clearly(tmp_path: Path) -> None:
    models = instances(1)
    with pytest.raises(CannotFit, match="expected at least 2 with improvements"):
        fit(models, seconds=2.0, seed=0, folder=tmp_path, progress=lambda at: None)
    with pytest.raises(ValueError, match="seconds: expected a positive number, got -1"):
        fit(models, seconds=-1.0, seed=0, folder=tmp_path, progress=lambda at: None)


def test_equal_models_have_equal_keys_whatever_their_names() -> None:
    one, other = instances(2)
    renamed = dataclasses.replace(one, name="other", col_names=None)
    assert key_of(renamed) == key_of(one)
    assert key_of(one) != key_of(other)


def test_the_area_is_that_under_the_steps() -> None:
    # 10 for one second of four, then 6, then 2 from the third; over a bound of 0.
    trace = [(0.0, 10.0), (1.0, 6.0), (3.0, 2.0)]
    assert area_of(trace, 0.0, 4.0) == pytest.approx((10 + 2 * 6 + 2) / 40)
    assert area_of([(0.0, 10.0)], 0.0, 4.0) == 1.0


@pytest.mark.parametrize("linear", [True, False])
def test_numpy_reads_the_skip_as_torch_does(linear: bool) -> None:
    model = generate("lot-sizing", 1, size="tiny")
    builder = GraphBuilder(model, Relaxation(model).root())
    graph = builder.at([np.ones(model.n), np.zeros(model.n)])
    torch.manual_seed(0)
    net = NeighbourhoodPolicy(len(VariableFeature), len(RowFeature), 2, skip=True)
    with torch.no_grad():
        net.skip.weight.normal_()
        if not linear:
            net.head[-1].weight.normal_()
    rows = np.repeat(np.arange(graph.matrix.shape[0]), np.diff(graph.matrix.indptr))
    index = torch.from_numpy(np.stack([rows, graph.matrix.indices]).astype(np.int64))
    with torch.no_grad():
        expected = net(
            *(torch.from_numpy(a) for a in (graph.variables, graph.rows, graph.edges)),
            index,
        )
    arrays = {
        name: array
        for name, array in net.arrays().items()
        if not linear or name.startswith("skip.") or name.endswith(("_mean", "_std"))
    }
    np.testing.assert_allclose(
        NeighbourhoodNet(weights=arrays).logits(graph), expected.numpy(), atol=1e-3
    )


def test_a_scope_covers_its_family_and_no_other() -> None:
    scope = scope_of(instances(2))
    assert misfit(scope, instances(1, first=1000)[0]) == ""
    assert "continuous" in misfit(scope, generate("facility-location", 1, size="tiny"))
    larger = generate("lot-sizing", 1, size="S")
    assert "columns, this model has 10860" in misfit(scope, larger)


def test_a_deadline_counts_processor_time() -> None:
    deadline = CpuDeadline(60.0)
    assert 59.0 < deadline.left_s() <= 60.0
    assert not deadline.over()
    assert CpuDeadline(0.0).over()
    assert CpuDeadline(60.0, stop=lambda: True).over()


def test_messages_are_fitted_from_the_linear_part_on_and_resume(tmp_path: Path) -> None:
    """Their weights are in the file only where they lower the loss on other instances."""
    rng = np.random.default_rng(0)
    examples = []
    for model in instances(2):
        integer = np.flatnonzero(model.integrality)
        sets = np.zeros((6, model.n), dtype=bool)
        for one in sets:
            one[rng.choice(integer, size=8, replace=False)] = True
        state = State(
            x=model.integrality.astype(float),
            positives=sets[:1],
            gains=np.ones(1),
            negatives=sets[1:],
        )
        examples.append(examples_of(model, "fitted", [state])[1])
    epochs: list[int] = []

    def fitted(stop_after: int) -> dict[str, np.ndarray]:
        epochs.clear()
        return fit_policy(
            *examples,
            seed=0,
            until=time.process_time() + 60.0,
            state=tmp_path / "training.safetensors",
            messages=True,
            report=lambda step, steps, loss, held_out, text: (
                epochs.append(step) if text == "messages" else None
            ),
            stop=lambda: len(epochs) >= stop_after,
        )

    fitted(2)
    assert epochs == [1, 2]
    arrays = fitted(2)
    assert epochs == [3, 4], "the checkpoint continues"
    assert arrays["skip.weight"].shape == (1, len(VariableFeature) + len(RowFeature))
