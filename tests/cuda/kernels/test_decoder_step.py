"""The native step of all layers against the same layers in plain torch."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as functional

from cuda.kernels import reference
from cuda.kernels.decoder_step import DecoderStep, PackedLayer
from cuda.kernels.native.library import Library
from cuda.kernels.packed import Form, PackedMatrix
from cuda.kernels.slots import EvictionRows, SlotCache, Victim

EPS = 1e-5


@dataclass(frozen=True)
class Shape:
    heads: int = 6
    kv_heads: int = 2
    size: int = 16
    width: int = 80
    feed_forward: int = 100
    layers: int = 2
    slots: int = 10

    def weights(self, generator: torch.Generator) -> list[dict[str, torch.Tensor]]:
        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator) * shape[-1] ** -0.5

        mixed = (self.heads + 2 * self.kv_heads) * self.size
        return [
            {
                "attention_norm": 1 + normal(self.width),
                "qkv": normal(mixed, self.width),
                "bias": normal(mixed),
                "attention_out": normal(self.width, self.heads * self.size),
                "feed_forward_norm": 1 + normal(self.width),
                "gate_up": normal(2 * self.feed_forward, self.width),
                "down": normal(self.width, self.feed_forward),
            }
            for _ in range(self.layers)
        ]

    def caches(self, sequences: int) -> list[SlotCache]:
        return [
            SlotCache.empty(
                sequences, self.kv_heads, self.slots, self.size, dtype=torch.float32
            )
            for _ in range(self.layers)
        ]


def packed(layer: dict[str, torch.Tensor], form: Form | None) -> PackedLayer:
    def pack(name: str) -> PackedMatrix:
        bias = layer["bias"] if name == "qkv" else None
        return PackedMatrix.pack(layer[name], bias, form=form)

    return PackedLayer(
        attention_norm=layer["attention_norm"],
        feed_forward_norm=layer["feed_forward_norm"],
        **{name: pack(name) for name in ("qkv", "attention_out", "gate_up", "down")},
    )


def plain(
    shape: Shape, layers, norm, caches, x, cos, sin, rows, at, rules
) -> torch.Tensor:
    """Run one step layer by layer in torch."""
    live = len(rows)
    for layer, cache in zip(layers, caches, strict=True):
        normed = functional.rms_norm(x, (shape.width,), layer["attention_norm"], EPS)
        mixed = functional.linear(normed, layer["qkv"], layer["bias"])
        mixed = mixed.view(live, -1, shape.size)
        turned = mixed[:, : shape.heads + shape.kv_heads]
        a, b = turned.chunk(2, -1)
        c, s = cos[:, None], sin[:, None]
        turned = torch.cat([a * c - b * s, b * c + a * s], -1)
        query = turned[:, : shape.heads].reshape(live, shape.kv_heads, -1, shape.size)
        out = reference.h2o_decode(
            query, turned[:, shape.heads :], mixed[:, shape.heads + shape.kv_heads :],
            cache, rows, at, rules,
        )  # fmt: skip
        x = x + functional.linear(out.flatten(1), layer["attention_out"])
        normed = functional.rms_norm(x, (shape.width,), layer["feed_forward_norm"], EPS)
        gate, up = functional.linear(normed, layer["gate_up"]).chunk(2, -1)
        x = x + functional.linear(functional.silu(gate) * up, layer["down"])
    return functional.rms_norm(x, (shape.width,), norm, EPS)


def rules(live: int, capacity: int, victim: Victim = Victim.DECAY) -> EvictionRows:
    def ints(value: int) -> torch.Tensor:
        return torch.full((live,), value, dtype=torch.int32)

    return EvictionRows(
        victim=ints(victim),
        capacity=ints(capacity),
        recent=ints(3),
        sinks=ints(1),
        decay=torch.full((live,), 0.95),
    )


@pytest.mark.parametrize(
    ("form", "tolerance"), [(Form.F32, 1e-4), (Form.BF16, 0.05), (None, 0.2)]
)
@pytest.mark.parametrize("shape", [Shape(), Shape(heads=4, size=20, width=33, slots=7)])
def test_a_step_equals_its_layers_in_torch(
    tier: str, form: Form | None, tolerance: float, shape: Shape
) -> None:
    generator = torch.Generator().manual_seed(3)
    layers, norm = (
        shape.weights(generator),
        1 + torch.randn(shape.width, generator=generator),
    )
    ours, theirs = shape.caches(4), shape.caches(4)
    step = DecoderStep(
        [packed(layer, form) for layer in layers],
        norm,
        ours,
        heads=shape.heads,
        norm_eps=EPS,
    )
    rows, half = torch.tensor([2, 0, 3]), shape.size // 2
    for t in range(shape.slots + 8):
        # Sequences differ in position.
        at = torch.tensor([t, t + 5, t + 1], dtype=torch.int32)
        angle = at[:, None] * 0.1 ** torch.arange(half)
        x = torch.randn(3, shape.width, generator=generator)
        given = (x, angle.cos(), angle.sin(), rows, at, rules(3, shape.slots))
        got = step(*given)
        wanted = plain(shape, layers, norm, theirs, *given)
        torch.testing.assert_close(got, wanted, atol=tolerance, rtol=tolerance)
        if form is Form.F32:
            for one, other in zip(ours, theirs, strict=True):
                assert torch.equal(one.positions, other.positions)
                assert torch.equal(one.write, other.write)
        else:
            # Rounding may choose other victims: go on from the same state.
            for one, other in zip(ours, theirs, strict=True):
                for name, tensor in vars(other).items():
                    getattr(one, name).copy_(tensor)


def test_errors_change_nothing(native: Library) -> None:
    shape = Shape()
    layers = [packed(one, Form.F32) for one in shape.weights(torch.Generator())]
    caches = shape.caches(1)
    step = DecoderStep(layers, torch.ones(shape.width), caches, heads=6, norm_eps=EPS)
    x, turn = torch.ones(1, shape.width), torch.ones(1, 8)
    row, at = torch.tensor([0]), torch.tensor([0], dtype=torch.int32)
    for given, message in [
        ((x[:, 1:], turn, turn, row, at, rules(1, 10)), r"hidden: expected \[1, 80\]"),
        ((x, turn[:, 1:], turn, row, at, rules(1, 10)), r"cosine: expected \[1, 8\]"),
        ((x, turn, turn, row, at, rules(2, 10)), r"victim: expected \[1\]"),
        ((x, turn, turn, row, at, rules(1, 11)), "capacities up to 10"),
        ((x, turn, turn, row + 1, at, rules(1, 10)), "rows below 1"),
        ((x, turn, turn, row, at, rules(1, 0)), "expected a free slot among 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            step(*given)
    assert all(int(cache.filled[0]) == 0 for cache in caches)


def test_weights_that_do_not_fit_are_errors(native: Library) -> None:
    shape = Shape()
    layers = [packed(one, Form.F32) for one in shape.weights(torch.Generator())]
    norm, caches = torch.ones(shape.width), shape.caches(1)
    with pytest.raises(ValueError, match="one per layer, got 1"):
        DecoderStep(layers, norm, caches[:1], heads=6, norm_eps=EPS)
    with pytest.raises(ValueError, match=r"layers\[0\].qkv: expected \[192, 80\]"):
        DecoderStep(layers, norm, caches, heads=8, norm_eps=EPS)
    with pytest.raises(ValueError, match="heads: expected a multiple of 2"):
        DecoderStep(layers, norm, caches, heads=7, norm_eps=EPS)
    caches[1].keys = caches[1].keys.transpose(1, 2)
    with pytest.raises(ValueError, match=r"caches\[1\]: expected|contiguous"):
        DecoderStep(layers, norm, caches, heads=6, norm_eps=EPS)
