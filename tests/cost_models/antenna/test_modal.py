import numpy as np
import pytest

from cost_models.antenna.heads import Head, HeadShape
from cost_models.antenna.modal import corrections, decode, uncorrected
from cost_models.antenna.modes import Reduced, reduce_many
from cost_models.antenna.nets import NetShape, Trunk, initial_weights
from cost_models.antenna.tape import Node, NumpyOps
from tests.cost_models.antenna.conftest import CELLS, TRAINING, designs, small

OPS = NumpyOps()
MODES = 5
WIDTH = TRAINING.facts.relative_width
X = np.linspace(-1, 1, 9)


def models(count: int) -> tuple[np.ndarray, np.ndarray, Reduced]:
    masks, feeds = designs(count)
    cells = feeds[:, None]
    return masks, cells, reduce_many(TRAINING.mode_tables, masks, cells, MODES)


def as_nodes(reduced: Reduced) -> Reduced:
    return Reduced(**{name: Node(value) for name, value in vars(reduced).items()})


def shape_of(trunk: Trunk) -> NetShape:
    head = HeadShape(head=Head.MODAL, poles=MODES, half_width=WIDTH)
    return NetShape(trunk=trunk, head=head, width=8, depth=1, readout=16, cells=CELLS)


def numbers_of(value: float, which: int, number: int, count: int = 3):
    """Corrections that are zero but for one number."""
    sizes = ((count, MODES, 3), (count, 1, 3), (count, 1, MODES, 2))
    made = [np.zeros(size, np.float32) for size in sizes]
    made[which][..., number] = value
    return tuple(Node(part) for part in made)


@pytest.mark.parametrize("trunk", Trunk)
def test_no_corrections_are_the_reduced_model(trunk):
    masks, cells, reduced = models(3)
    shape, rng = shape_of(trunk), np.random.default_rng(0)
    weights = {
        name: Node(value * (not name.endswith("_head")))
        for name, value in initial_weights(shape, rng).items()
    }
    metal = Node(masks.astype(np.float32))
    given = corrections(OPS, shape, weights, metal, cells, as_nodes(reduced), fine=True)
    assert [part.shape for part in given] == [(3, 5, 3), (3, 1, 3), (3, 1, 5, 2)]
    s11 = decode(OPS, WIDTH, given, as_nodes(reduced), X[None]).value
    plain = uncorrected(as_nodes(reduced), WIDTH, X).value
    np.testing.assert_allclose(s11, plain, atol=1e-6)


def test_more_inductance_lowers_all_resonances():
    mask = np.ones((1, CELLS, CELLS), bool)
    reduced = as_nodes(
        reduce_many(TRAINING.mode_tables, mask, np.array([[[1, 3]]]), MODES)
    )
    x = np.linspace(-1, 1, 601)

    def lowest_match(value: float) -> float:
        given = numbers_of(value, 0, 0, count=1)
        s11 = decode(OPS, WIDTH, given, reduced, x[None]).value[0, 0]
        return 1 + WIDTH * x[np.abs(s11).argmin()]

    # A factor e^a of the inductance, on rows and columns: e^(2a); frequencies fall by e^a.
    assert lowest_match(0.5) == pytest.approx(lowest_match(0.0) * np.exp(-0.05), rel=0.02)


@pytest.mark.parametrize(("which", "number"), [(0, 1), (0, 2), (1, 0)])
def test_losses_leave_the_response_passive(which, number):
    _, _, reduced = models(3)
    plain = uncorrected(as_nodes(reduced), WIDTH, X).value
    for value in (-30.0, 3.0, 30.0):
        given = numbers_of(value, which, number)
        s11 = decode(OPS, WIDTH, given, as_nodes(reduced), X[None]).value
        assert np.abs(s11).max() <= 1 + 2e-3
        assert value < 0 or np.abs(s11 - plain).max() > 1e-5


def test_signs_of_modes_do_not_matter():
    masks, cells, reduced = models(2)
    signs = np.array([1, -1, -1, 1, -1], np.float32)
    both = signs[:, None] * signs
    turned = Reduced(
        **vars(reduced)
        | {
            "inductance": reduced.inductance * both,
            "elastance": reduced.elastance * both,
            "coupling": reduced.coupling * signs,
        }
    )
    shape, rng = shape_of(Trunk.CNN), np.random.default_rng(1)
    weights = {k: Node(v) for k, v in initial_weights(shape, rng).items()}
    metal = Node(masks.astype(np.float32))
    results = []
    for one in (reduced, turned):
        nodes = as_nodes(one)
        given = corrections(OPS, shape, weights, metal, cells, nodes, fine=False)
        results.append(decode(OPS, WIDTH, given, nodes, X[None]).value)
    np.testing.assert_allclose(*results, atol=1e-5)


def test_training_and_serving_agree():
    pytest.importorskip("torch")
    from workers.train.antenna.fit import Net

    made = small(Head.MODAL)
    masks, feeds = designs(4, seed=2)
    frequencies = np.linspace(2e9, 8e9, 9)
    net = Net(made.facts.net, seed=0)
    import torch

    net.load_state_dict(
        {f"weights.{k}": torch.tensor(v) for k, v in made.weights.items()}
    )
    net.eval()
    reduced = reduce_many(made.tables, masks, feeds[:, None], made.facts.poles)
    for fine in (False, True):
        with torch.no_grad():
            trained = net(
                masks.astype(np.float32), feeds[:, None], reduced, X[None], fine=fine
            )
        served = made.predict(masks, feeds, frequencies, fine=fine)
        np.testing.assert_allclose(trained[:, 0].numpy(), served, atol=2e-4)
