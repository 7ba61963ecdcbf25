"""The image model: published sizes, the layer against the general one, small forward passes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gnn.layers.encoders import parameters_of  # noqa: E402
from gnn.layers.grmp import GatedRelationalMessage  # noqa: E402
from gnn.layers.image_grmp import ImageRelationalMessage, SimilarPatches  # noqa: E402
from gnn.policies.eurnet import SIZES, EurNetSize, ImageEurNet  # noqa: E402
from gnn.ranges.grids import image_relations  # noqa: E402

# Millions of parameters of the released code, and exactly, without the virtual embeddings (15 C)
# that no patch reads.
COUNTS = {
    "tiny": (28.84, 28_839_578),
    "small": (50.22, 50_220_398),
    "base": (88.67, 88_671_246),
}


def by_formula(size: EurNetSize) -> int:
    """Count by hand: the formulae of the layers' docstrings."""
    width, total = size.width, 0
    total += 3 * 16 * width + width + 2 * width + 56 * 56 * width  # stem, norm, positions
    for stage, depth in enumerate(size.depths):
        c = width * 2**stage
        relations = 5 + (stage > 0)
        grmp = 3 * (c * c + c) + (relations + 1) * (c + 1) + relations * c
        grmp += sum(k * k * c for k in size.context)
        block = grmp + 4 * c + (c * c + c) + (4 * c * c + 4 * c) + (4 * c * c + c)
        total += depth * block
        if stage < 3:
            total += 8 * c * c + 8 * c
    c = 8 * width
    return total + 2 * c + 1000 * c + 1000


@pytest.mark.parametrize("name", list(SIZES))
def test_sizes_are_the_published_ones(name: str) -> None:
    millions, exact = COUNTS[name]
    with torch.device("meta"):
        count = parameters_of(ImageEurNet(SIZES[name]))
    assert count == exact == by_formula(SIZES[name])
    assert round((count + 15 * SIZES[name].width) / 1e6, 2) == millions


def test_the_image_layer_is_the_general_layer_on_its_relations() -> None:
    torch.manual_seed(0)
    height, width, c, k = 5, 6, 8, 4
    image = ImageRelationalMessage(c, medium=True)
    torch.nn.init.normal_(image.scale)
    general = GatedRelationalMessage(c, 6)
    general.load_state_dict(image.state_dict())
    x = torch.randn(2, height, width, c)
    similar = SimilarPatches(height, width, c, k)(x)
    got = image(x, similar)
    for b in range(2):
        flat = x[b].flatten(0, 1)
        relations = image_relations(height, width, features=flat.double().numpy(), k=k)
        edges = [
            torch.from_numpy(relations.of(kind.name)) for kind in relations.kinds[:5]
        ]
        # The virtual node sends the mean message: an edge from every patch to every patch.
        every = torch.cartesian_prod(torch.arange(30), torch.arange(30)).T
        edges.append(every)
        sender, receiver = torch.cat(edges, dim=1)
        relation = torch.repeat_interleave(
            torch.arange(6), torch.tensor([e.shape[1] for e in edges])
        )
        want = general(flat, sender, receiver, relation)
        torch.testing.assert_close(got[b].flatten(0, 1), want, atol=1e-5, rtol=1e-4)


def test_the_context_is_one_more_weighted_term() -> None:
    torch.manual_seed(1)
    layer = ImageRelationalMessage(8, medium=False, context=(3, 5))
    x = torch.randn(1, 4, 4, 8)
    message = layer.message(x).permute(0, 3, 1, 2)
    field = message
    for convolution in layer.context:
        field = torch.nn.functional.gelu(convolution(field), approximate="tanh")
    with torch.no_grad():
        layer.mix.weight.zero_()
        layer.mix.bias.zero_()
        layer.mix.bias[-1] = 2.0
        want = layer.own(x) * layer.gate(2 * field.permute(0, 2, 3, 1))
        torch.testing.assert_close(layer(x), want)


def test_a_small_model_learns_and_drops_paths_only_while_training() -> None:
    torch.manual_seed(2)
    size = EurNetSize(width=8, depths=(1, 1, 1), context=(3,), drop_path=0.5)
    model = ImageEurNet(size, classes=2, resolution=64, k=3)
    images, label = torch.randn(4, 3, 64, 64), torch.tensor([0, 1, 0, 1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = torch.nn.functional.cross_entropy(model(images), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-4:]) < losses[0]
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model(images), model(images))


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        ValueError, match="resolution: expected a multiple of 32, got 100"
    ):
        ImageEurNet(SIZES["tiny"], resolution=100)
    with pytest.raises(ValueError, match="k: expected at most 7"):
        SimilarPatches(4, 4, 8)
