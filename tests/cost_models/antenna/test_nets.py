import numpy as np
import pytest

from cost_models.antenna.heads import Head, HeadShape, decode
from cost_models.antenna.image import oriented
from cost_models.antenna.nets import (
    NetShape,
    Trunk,
    initial_weights,
    numbers,
    weight_count,
)
from cost_models.antenna.tape import Node, NumpyOps, gradients

OPS = NumpyOps()
RNG = np.random.default_rng(0)


def shape_of(trunk: Trunk, head: Head = Head.RLC, **sizes) -> NetShape:
    fields = {"width": 16, "depth": 2, "readout": 32, "cells": 6, "cavity": False} | sizes
    return NetShape(trunk=trunk, head=HeadShape(head=head, poles=5, grid=11), **fields)


def run(shape: NetShape, masks: np.ndarray, cells: np.ndarray, seed: int = 0, **options):
    rng = np.random.default_rng(seed)
    weights = {
        name: Node(value + rng.normal(0, 0.05, value.shape).astype(np.float32))
        for name, value in initial_weights(shape, rng).items()
    }
    return numbers(
        OPS, shape, weights, Node(masks.astype(np.float32)), cells, None, **options
    )


@pytest.mark.parametrize("trunk", Trunk)
def test_one_pass_serves_every_feed_and_designs_do_not_mix(trunk):
    masks, cells = RNG.random((3, 6, 6)) < 0.6, RNG.integers(0, 6, (3, 4, 2))
    together = run(shape_of(trunk), masks, cells).value
    assert together.shape == (3, 4, 18)
    alone = run(shape_of(trunk), masks[1:2], cells[1:2, 2:3]).value
    np.testing.assert_allclose(together[1, 2], alone[0, 0], atol=2e-5)


@pytest.mark.parametrize("trunk", [Trunk.CNN, Trunk.ATTENTION])
def test_output_depends_on_feed_and_metal(trunk):
    masks = RNG.random((1, 6, 6)) < 0.6
    first = run(shape_of(trunk), masks, np.array([[[1, 1]]])).value
    assert (
        np.abs(first - run(shape_of(trunk), masks, np.array([[[4, 2]]])).value).max()
        > 1e-3
    )
    masks[0, 5, 5] ^= True
    assert (
        np.abs(first - run(shape_of(trunk), masks, np.array([[[1, 1]]])).value).max()
        > 1e-5
    )


def test_fine_output_begins_as_the_coarse_one():
    shape = shape_of(Trunk.CNN)
    weights = {n: Node(v) for n, v in initial_weights(shape, RNG).items()}
    masks, cells = np.ones((1, 6, 6), np.float32), np.array([[[2, 2]]])
    coarse, fine = (
        numbers(OPS, shape, weights, Node(masks), cells, None, fine=fine).value
        for fine in (False, True)
    )
    np.testing.assert_array_equal(coarse, fine)
    weights["fine_head"] = Node(np.ones_like(weights["fine_head"].value))
    assert (
        numbers(OPS, shape, weights, Node(masks), cells, None, fine=True).value != fine
    ).any()


def test_trunks_have_equal_sizes_for_the_study():
    counts = [
        weight_count(
            initial_weights(shape_of(trunk, width=width, depth=depth, cells=12), RNG)
        )
        for trunk, width, depth in (
            (Trunk.CNN, 48, 4),
            (Trunk.ATTENTION, 64, 5),
            (Trunk.MLP, 160, 2),
        )
    ]
    assert max(counts) / min(counts) < 1.2, counts


@pytest.mark.parametrize(
    ("trunk", "head"),
    [(Trunk.CNN, head) for head in Head if head is not Head.MODAL]
    + [(Trunk.ATTENTION, Head.PR), (Trunk.MLP, Head.RLC)],
)
def test_numpy_and_torch_agree_in_values_and_gradients(trunk, head):
    torch = pytest.importorskip("torch")
    from workers.train.antenna.torch_ops import TorchOps

    shape = shape_of(trunk, head, cavity=True)
    weights = {
        name: value + RNG.normal(0, 0.05, value.shape).astype(np.float32)
        for name, value in initial_weights(shape, RNG).items()
    }
    masks, cells = (
        (RNG.random((3, 6, 6)) < 0.6).astype(np.float32),
        RNG.integers(0, 6, (3, 2, 2)),
    )
    modes = RNG.normal(size=(3, 2, 48)).astype(np.float32)
    x = RNG.uniform(-1, 1, (3, 7))
    nodes, metal = {n: Node(v) for n, v in weights.items()}, Node(masks)
    here = decode(
        OPS,
        shape.head,
        numbers(OPS, shape, nodes, metal, cells, Node(modes), fine=True),
        x,
    )
    ops = TorchOps()
    tensors = {n: torch.tensor(v, requires_grad=True) for n, v in weights.items()}
    tensor = torch.tensor(masks, requires_grad=True)
    given = numbers(ops, shape, tensors, tensor, cells, torch.tensor(modes), fine=True)
    there = decode(ops, shape.head, given, x)
    scale = np.abs(here.value).max()
    np.testing.assert_allclose(
        here.value / scale, there.detach().numpy() / scale, atol=2e-5
    )
    there.abs().square().sum().backward()
    squared = Node(
        np.asarray((np.abs(here.value) ** 2).sum()),
        ((here, lambda g: 2 * g * here.value),),
    )
    for found, expected in zip(
        gradients(squared, [metal, nodes["head"], nodes["stem"]]),
        (tensor, tensors["head"], tensors["stem"]),
        strict=True,
    ):
        size = max(1e-6, float(expected.grad.abs().max()))
        np.testing.assert_allclose(found / size, expected.grad.numpy() / size, atol=2e-3)


def test_orientation_of_the_mlp_is_learned_and_of_no_trunk_built_in():
    # Data are turned in training; no trunk claims the symmetry by construction.
    masks, cells = RNG.random((1, 6, 6)) < 0.5, np.array([[[1, 2]]])
    turned, moved = oriented(masks, cells, 3)
    shape = shape_of(Trunk.CNN)
    assert (
        np.abs(run(shape, masks, cells).value - run(shape, turned, moved).value).max()
        > 1e-4
    )
