"""The layer-wise oracle equals plain decoding, one token at a time, with lists."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch

from cuda.kernels.slots import Victim
from tests.workers.bench.llm.tiny import CONFIG, random_model
from workers.bench.llm import oracle_native
from workers.bench.llm.oracle import FULL, Arm, simulate
from workers.llm.decoder_types import DecoderWeights

TOKENS = 40
ARMS = (
    FULL,
    Arm(victim=Victim.AGE, capacity=8),
    Arm(victim=Victim.AGE, capacity=8, sinks=2),
    Arm(victim=Victim.SUM, capacity=9, recent=4),
    Arm(victim=Victim.MEAN, capacity=9, recent=4, sinks=1),
    Arm(victim=Victim.DECAY, capacity=12, recent=3, decay=0.9),
    Arm(victim=Victim.LAST, capacity=7),
    Arm(victim=Victim.SUM, capacity=8, recent=3, pinned=frozenset({5, 6})),
    Arm(victim=Victim.SUM, capacity=8, recent=3, prompt=20),
    Arm(victim=Victim.DECAY, capacity=10, recent=3, decay=0.9, prompt=23, chunk=6),
    Arm(victim=Victim.SUM, capacity=10, recent=3, prompt=24, window=4, pool=3),
    Arm(victim=Victim.SUM, capacity=10, recent=3, sinks=1, prompt=22, chunk=8, window=4),
    Arm(victim=Victim.SUM, capacity=10, recent=3, prompt=11, chunk=3, window=4),
    Arm(victim=Victim.SUM, capacity=TOKENS + 1, recent=4),
)


class PlainHead:
    """Cache of one key-value head as a list of [position, key, value, score]."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self.held: list[list[Any]] = []
        self.left: dict[int, int] = {}

    def step(
        self, t: int, queries: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        arm = self.arm
        in_prompt = t < arm.prompt
        begin = t // arm.chunk * arm.chunk if arm.chunk else 0
        end = min(begin + (arm.chunk or arm.prompt), arm.prompt)
        if in_prompt and arm.window and (t == begin or t == end - arm.window):
            for entry in self.held:
                entry[3] = 0.0
        self.held.append([t, key, value, 0.0])
        keys, values = (torch.stack([entry[i] for entry in self.held]) for i in (1, 2))
        attention = torch.softmax(queries @ keys.T / math.sqrt(CONFIG.head_size), -1)
        newest = attention.sum(0).tolist()
        for entry, more in zip(self.held, newest, strict=True):
            entry[3] = entry[3] * arm.decay + more
        if arm.pool > 1 and t == arm.prompt - 1:
            self._pool()
        rank = self._ranks(t, newest)
        while arm.victim != Victim.NONE and self._must_evict(t):
            free = [
                i
                for i, (position, *_) in enumerate(self.held)
                if position <= t - arm.recent
                and position >= arm.sinks
                and position not in arm.pinned
            ]
            index = min(free, key=lambda i: rank[i])
            self.left[self.held.pop(index)[0]] = t
            rank.pop(index)
        return attention @ values

    def _must_evict(self, t: int) -> bool:
        arm = self.arm
        if t >= arm.prompt - 1:
            return len(self.held) >= arm.capacity
        at_end = arm.chunk > 0 and (t + 1) % arm.chunk == 0
        return at_end and len(self.held) >= arm.capacity

    def _pool(self) -> None:
        """Average scores over neighbours; beyond the ends they count as 0."""
        half = self.arm.pool // 2
        padded = [0.0] * half + [entry[3] for entry in self.held] + [0.0] * half
        for i, entry in enumerate(self.held):
            entry[3] = sum(padded[i : i + self.arm.pool]) / self.arm.pool

    def _ranks(self, t: int, newest: list[float]) -> list[float]:
        arm = self.arm
        if arm.victim == Victim.AGE:
            return [float(entry[0]) for entry in self.held]
        if arm.victim == Victim.LAST:
            return newest
        if arm.victim == Victim.MEAN:
            return [entry[3] / (t - entry[0] + 1) for entry in self.held]
        return [entry[3] for entry in self.held]


def rms_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x / torch.sqrt((x * x).mean() + CONFIG.norm_eps) * weight


def turned(x: torch.Tensor, t: int) -> torch.Tensor:
    """Return x as complex numbers, multiplied by the unit numbers of position t."""
    half = CONFIG.head_size // 2
    angles = t / CONFIG.rope_theta ** (torch.arange(half) / half)
    plane = torch.complex(x[..., :half], x[..., half:])
    product = plane * torch.polar(torch.ones(half), angles)
    return torch.cat([product.real, product.imag], -1)


@torch.no_grad()
def decode(
    weights: DecoderWeights, ids: list[int], arm: Arm
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [T, width] and [layers, KV, T] as the simulation's `hidden` and `left`."""
    caches = [[PlainHead(arm) for _ in range(CONFIG.kv_heads)] for _ in weights.layers]
    hidden = []
    for t, token in enumerate(ids):
        x = weights.embedding[token]
        for layer, heads in zip(weights.layers, caches, strict=True):
            qkv = layer.qkv @ rms_norm(x, layer.attention_norm) + layer.qkv_bias
            split = qkv.view(-1, CONFIG.head_size)
            out = [
                head.step(
                    t,
                    turned(split[g * CONFIG.group : (g + 1) * CONFIG.group], t),
                    turned(split[CONFIG.heads + g], t),
                    split[CONFIG.heads + CONFIG.kv_heads + g],
                )
                for g, head in enumerate(heads)
            ]
            x = x + layer.attention_out @ torch.cat(out).flatten()
            gate, up = (layer.gate_up @ rms_norm(x, layer.feed_forward_norm)).chunk(2)
            x = x + layer.down @ (torch.nn.functional.silu(gate) * up)
        hidden.append(rms_norm(x, weights.norm))
    left = torch.full((CONFIG.layers, CONFIG.kv_heads, len(ids)), len(ids))
    for i, heads in enumerate(caches):
        for g, head in enumerate(heads):
            for position, step in head.left.items():
                left[i, g, position] = step
    return torch.stack(hidden), left


@pytest.fixture(scope="module")
def text() -> torch.Tensor:
    return torch.randint(0, 50, (TOKENS,), generator=torch.Generator().manual_seed(3))


def test_every_rule_equals_plain_decoding(text: torch.Tensor) -> None:
    weights = random_model(0)
    both = [simulate(CONFIG, weights, text, ARMS, native=is_) for is_ in (False, True)]
    for a, arm in enumerate(ARMS):
        hidden, left = decode(weights, text.tolist(), arm)
        for found in both:
            assert torch.equal(found.left[:, a], left.int()), arm
            torch.testing.assert_close(found.hidden[a], hidden, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_the_steps_in_cpp_equal_those_in_torch(seed: int) -> None:
    if oracle_native.library() is None:
        pytest.skip("no C++ compiler")
    rng = random.Random(seed)
    ids = torch.tensor([rng.randrange(50) for _ in range(rng.choice((33, 130, 150)))])
    arms = [random_arm(rng) for _ in range(9)]
    weights = random_model(seed)
    one, other = (
        simulate(CONFIG, weights, ids, arms, native=is_) for is_ in (False, True)
    )
    assert torch.equal(one.left, other.left)
    torch.testing.assert_close(one.hidden, other.hidden, rtol=1e-4, atol=1e-4)


def random_arm(rng: random.Random) -> Arm:
    prompt = rng.choice((0, 0, 5, 20, 29))
    chunk = rng.choice((0, 0, 7)) if prompt else 0
    return Arm(
        victim=rng.choice(list(Victim)),
        capacity=rng.randrange(14, 30),
        recent=rng.randrange(1, 8),
        sinks=rng.randrange(3),
        decay=rng.choice((1.0, 0.9, 0.99)),
        prompt=prompt,
        chunk=chunk,
        window=rng.choice((0, 3, 9)) if prompt else 0,
        pool=rng.choice((1, 3, 5)) if prompt and not chunk else 1,
        pinned=frozenset(rng.sample(range(12), rng.randrange(3))),
    )


def test_a_cache_that_holds_the_text_equals_the_full_cache(text: torch.Tensor) -> None:
    simulation = simulate(CONFIG, random_model(0), text, ARMS)
    assert torch.equal(simulation.hidden[-1], simulation.hidden[0])


def test_arms_do_not_see_each_other(text: torch.Tensor) -> None:
    weights = random_model(0)
    together = simulate(CONFIG, weights, text, ARMS)
    for a in (3, 9):
        alone = simulate(CONFIG, weights, text, [ARMS[a]])
        assert torch.equal(alone.left[:, 0], together.left[:, a])
        torch.testing.assert_close(alone.hidden[0], together.hidden[a])


def test_a_longer_text_does_not_change_its_beginning(text: torch.Tensor) -> None:
    weights = random_model(1)
    arms = ARMS[:7]
    whole = simulate(CONFIG, weights, text, arms)
    part = simulate(CONFIG, weights, text[:30], arms)
    torch.testing.assert_close(whole.hidden[:, :30], part.hidden)
    assert torch.equal(whole.left[..., :30].clamp(max=30), part.left)


def test_losses_are_of_the_next_token(text: torch.Tensor) -> None:
    weights = random_model(0)
    simulation = simulate(CONFIG, weights, text, [FULL])
    nats, hits = simulation.losses(weights, text, 10)
    assert nats.shape == hits.shape == (1, TOKENS - 10)
    law = torch.log_softmax(simulation.hidden[0, 14] @ weights.head.T, -1)
    torch.testing.assert_close(nats[0, 5], -law[text[15]])
    assert bool(hits[0, 5]) == (int(law.argmax()) == int(text[15]))


@pytest.mark.parametrize(
    "fields",
    [
        {"capacity": 4, "recent": 4},
        {"capacity": 6, "sinks": 4, "recent": 2},
        {"capacity": 6, "sinks": 2, "recent": 2, "pinned": frozenset({1, 2, 3})},
        {"capacity": 9, "prompt": 20, "chunk": 5, "pool": 3},
    ],
)
def test_arms_that_cannot_be_simulated_are_refused(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=r"capacity: expected at least|pool: expected 1"):
        Arm(victim=Victim.SUM, **fields)


def test_scaled_rotary_embeddings_are_refused(text: torch.Tensor) -> None:
    from dataclasses import replace

    config = replace(CONFIG, rope_scaling=(("factor", 8.0),))
    with pytest.raises(ValueError, match="rope_scaling: expected none"):
        simulate(config, random_model(0), text, [FULL])
