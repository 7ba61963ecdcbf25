"""Exact simulation of an evicting key-value cache under teacher forcing, layer by layer.

An eviction in layer l depends on the attention of layer l alone. The projections of a layer
therefore run for all tokens of a text at once, and only softmax, scores and eviction go token by
token. Nothing here has slots: each head holds a dense mask over the text. The code shares the
names of the rules with `cuda.kernels.slots`, and no arithmetic with the engine or the kernels, so
that it can check them. The steps exist twice: in torch here, and in C++ (`oracle_native`), which
measurements use.

Source: H2O, arXiv 2306.14048, Algorithm 1, with one decision per key-value head.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from cuda.kernels.slots import Victim
from workers.bench.llm import oracle_native
from workers.llm.decoder_types import DecoderConfig, DecoderWeights, LayerWeights

QUERIES_AT_ONCE = 128
"""Rows of the attention matrix that are held at a time."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One cache that reads the text.

    A full cache loses one token after each step, so that the next one fits. Inside the prompt,
    tokens leave at the end of each chunk only, all that are too many at once.
    """

    victim: Victim
    capacity: int
    recent: int = 1
    """Newest tokens that never go, the token of the step among them."""
    sinks: int = 0
    """First positions that never go."""
    decay: float = 1.0
    prompt: int = 0
    """Length of the prompt; 0: the cache evicts from the first token on."""
    chunk: int = 0
    """Queries of the prompt between evictions; 0: the whole prompt under full attention."""
    window: int = 0
    """Last queries of a chunk that make the scores inside the prompt; 0: all of all chunks."""
    pool: int = 1
    """Neighbours over which scores are averaged when the prompt ends (SnapKV)."""
    pinned: frozenset[int] = frozenset()
    """Positions that never go."""
    layers: tuple[Arm, ...] = ()
    """Arms of the layers, where they differ; this arm's own fields then stand for none of them."""

    def __post_init__(self) -> None:
        if self.pool > 1 and self.chunk:
            raise ValueError(
                f"pool: expected 1 in a prompt of several chunks, got {self.pool}; neighbours "
                "there depend on what earlier chunks left"
            )
        if self.victim != Victim.NONE and self.capacity < self.least:
            raise ValueError(
                f"capacity: expected at least {self.least} (sinks, pins, recent tokens and one "
                f"more), got {self.capacity}"
            )

    @property
    def least(self) -> int:
        """Capacity at which there is always a token that may go."""
        return len(self.pinned | set(range(self.sinks))) + self.recent + 1

    def at(self, layer: int) -> Arm:
        """Return the arm of a layer."""
        return self.layers[layer] if self.layers else self

    def evicts(self, step: int) -> bool:
        """Return whether tokens may go at the end of a step."""
        if self.victim == Victim.NONE:
            return False
        at_end = self.chunk > 0 and (step + 1) % self.chunk == 0
        return step >= self.prompt - 1 or at_end

    def intact(self, tokens: int) -> int:
        """Return how many tokens of a text come before the first eviction takes effect."""
        if self.layers:
            return min(arm.intact(tokens) for arm in self.layers)
        if self.victim == Victim.NONE:
            return tokens
        for step in range(self.capacity - 1, tokens):
            if self.evicts(step):
                return step + 1
        return tokens

    def forgets(self, step: int) -> bool:
        """Return whether earlier scores do not count from a step on (`window`)."""
        if not self.window or step >= self.prompt:
            return False
        start = step - step % self.chunk if self.chunk else 0
        end = min(start + self.chunk, self.prompt) if self.chunk else self.prompt
        return step == max(start, end - self.window)


FULL = Arm(victim=Victim.NONE, capacity=0)
Observe = Callable[[int, torch.Tensor, int], None]
"""(layer, attention [A, KV, G, Q, q1] of queries from the last argument on)."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Outcome for A arms on a text of T tokens."""

    hidden: torch.Tensor
    """[A, T, width] after the last norm."""
    left: torch.Tensor
    """[layers, A, KV, T] int32: step after which a position left the cache; T: it stayed."""

    def logits(self, weights: DecoderWeights, arm: int, first: int = 0) -> torch.Tensor:
        """Return [T - first, vocabulary] float32: next-token logits of an arm from `first` on."""
        return linear(self.hidden[arm, first:], weights.head)

    def losses(
        self, weights: DecoderWeights, ids: torch.Tensor, first: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return [A, T - first] nats of each token from `first` on, and whether it was likeliest.

        `first` is at least 1: nothing predicts the first token.
        """
        nats, hits = [], []
        for arm in range(len(self.hidden)):
            law = torch.log_softmax(self.logits(weights, arm, first - 1)[:-1], -1)
            nats.append(-law.gather(1, ids[first:, None])[:, 0])
            hits.append(law.argmax(-1) == ids[first:])
        return torch.stack(nats), torch.stack(hits)


def simulate(
    config: DecoderConfig,
    weights: DecoderWeights,
    ids: torch.Tensor,
    arms: Sequence[Arm],
    *,
    native: bool = True,
    observe: Observe | None = None,
) -> Simulation:
    """Read a text with several caches side by side.

    Args:
        config: rotary scaling other than none is refused.
        weights: matrices of any float type; norms, attention and scores are float32.
        ids: [T] int64.
        arms: rules, one per cache.
        native: steps in C++ where a compiler is at hand.
        observe: gets the attention of each layer, block by block of queries.

    Returns:
        Hidden states and what left when, for each arm.
    """
    if config.rope_scaling:
        raise ValueError(f"rope_scaling: expected none, got {dict(config.rope_scaling)}")
    with torch.no_grad():
        steps = oracle_native.library() if native else None
        return _simulate(config, weights, ids, arms, steps, observe)


def _simulate(
    config: DecoderConfig,
    weights: DecoderWeights,
    ids: torch.Tensor,
    arms: Sequence[Arm],
    steps: ctypes.CDLL | None,
    observe: Observe | None,
) -> Simulation:
    tokens = len(ids)
    x = weights.embedding[ids].float().expand(len(arms), -1, -1).clone()  # [A, T, width]
    turn = _rotation(config, tokens)
    # Until its first eviction an arm equals the full cache, whose products are copied.
    full = next(
        (a for a, arm in enumerate(arms) if arm.victim == Victim.NONE and not arm.layers),
        None,
    )
    own = [0 if full in (None, a) else arm.intact(tokens) for a, arm in enumerate(arms)]
    left = []
    for number, layer in enumerate(weights.layers):
        qkv = _per_arm(x, own, full, partial(_projected, config, layer))
        here = [arm.at(number) for arm in arms]
        seen = None if observe is None else partial(observe, number)
        heads, gone = _attention(config, layer, qkv, turn, here, steps, seen)
        left.append(gone)
        x += _per_arm(heads, own, full, partial(linear, weight=layer.attention_out))
        x += _per_arm(x, own, full, partial(_feed_forward, config, layer))
    return Simulation(
        hidden=_norm(x, weights.norm, config.norm_eps), left=torch.stack(left)
    )


def _per_arm(
    x: torch.Tensor,
    own: Sequence[int],
    full: int | None,
    function: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Return a function of [A, T, ...] token by token; an arm's first tokens are the full one's.

    `own` [A] is the first token at which an arm differs from the arm `full`.
    """
    parts = {a: function(x[a, start:]) for a, start in enumerate(own)}
    out = torch.empty(*x.shape[:2], parts[0].shape[-1])
    for a, part in parts.items():
        out[a, own[a] :] = part
        if full is not None:
            out[a, : own[a]] = parts[full][: own[a]]
    return out


def _projected(
    config: DecoderConfig, layer: LayerWeights, x: torch.Tensor
) -> torch.Tensor:
    return linear(_norm(x, layer.attention_norm, config.norm_eps), layer.qkv)


def _feed_forward(
    config: DecoderConfig, layer: LayerWeights, x: torch.Tensor
) -> torch.Tensor:
    h = _norm(x, layer.feed_forward_norm, config.norm_eps)
    gate, up = linear(h, layer.gate_up).chunk(2, -1)
    return linear(torch.nn.functional.silu(gate) * up, layer.down)


def linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return x weight^T in float32, computed in the type of the weight."""
    return (x.to(weight.dtype) @ weight.T).float()


def _attention(
    config: DecoderConfig,
    layer: LayerWeights,
    qkv: torch.Tensor,
    turn: tuple[torch.Tensor, torch.Tensor],
    arms: Sequence[Arm],
    steps: ctypes.CDLL | None,
    observe: Callable[[torch.Tensor, int], None] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [A, T, heads · D] after attention, and [A, KV, T] int32 as `Simulation.left`."""
    count, tokens = qkv.shape[:2]
    kv, group, size = config.kv_heads, config.group, config.head_size
    if layer.qkv_bias is not None:
        qkv = qkv + layer.qkv_bias.float()
    # [A, heads + 2 KV, T, D]
    per_head = qkv.view(count, tokens, -1, size).transpose(1, 2)
    turned = _rotate(per_head[:, :-kv], turn)
    # Query head h belongs to key-value head h // group.
    query = turned[:, : config.heads].reshape(count, kv, group, tokens, size) * size**-0.5
    key = turned[:, config.heads :].contiguous()  # [A, KV, T, D]
    value = per_head[:, -kv:].contiguous()
    fixed = _fixed(arms, tokens)
    memory = (
        _Masks(arms, fixed, kv, tokens)
        if steps is None
        else oracle_native.NativeHeads(steps, arms, fixed, kv, tokens)
    )
    out = torch.empty(count, kv, group, tokens, size)
    for q0 in range(0, tokens, QUERIES_AT_ONCE):
        q1 = min(q0 + QUERIES_AT_ONCE, tokens)
        block = query[..., q0:q1, :].reshape(count, kv, -1, size)
        logits = (block @ key[:, :, :q1].mT).view(count, kv, group, q1 - q0, q1)
        memory.attend(logits, q0)
        if observe is not None:
            observe(logits, q0)
        weights = logits.view(count, kv, -1, q1)
        out[..., q0:q1, :] = (weights @ value[:, :, :q1]).view(
            count, kv, group, q1 - q0, size
        )
    joined = out.view(count, kv * group, tokens, size).transpose(1, 2)
    return joined.reshape(count, tokens, -1), memory.left


def _fixed(arms: Sequence[Arm], tokens: int) -> torch.Tensor:
    """Return [A, 1, T] bool: sinks and pins."""
    fixed = torch.zeros(len(arms), 1, tokens, dtype=torch.bool)
    for a, arm in enumerate(arms):
        fixed[a, :, : arm.sinks] = True
        fixed[a, :, [p for p in arm.pinned if p < tokens]] = True
    return fixed


class _Masks:
    """Tokens that each head of each arm holds, as masks over the text, and their scores."""

    def __init__(
        self, arms: Sequence[Arm], fixed: torch.Tensor, kv_heads: int, tokens: int
    ) -> None:
        shape = (len(arms), kv_heads, tokens)
        self.arms = arms
        self.gone = torch.zeros(shape)  # 0, or inf for what left
        self.scores = torch.zeros(shape)
        self.left = torch.full(shape, tokens, dtype=torch.int32)
        self.held = [0] * len(arms)
        self.decay = torch.tensor([arm.decay for arm in arms])[:, None, None]
        self.positions = torch.arange(tokens)
        self.recent = torch.tensor([arm.recent for arm in arms])[:, None, None]
        self.fixed = fixed
        self.by_victim = {
            victim: [a for a, arm in enumerate(arms) if arm.victim == victim]
            for victim in {arm.victim for arm in arms}
        }

    def attend(self, logits: torch.Tensor, first: int) -> None:
        """Turn logits [A, KV, G, Q, first + Q] of queries from `first` on into attention."""
        for t in range(first, logits.shape[-1]):
            row = logits[..., t - first, :]
            row[..., : t + 1] = self._step(t, row[..., : t + 1])
            row[..., t + 1 :] = 0

    def _step(self, t: int, logits: torch.Tensor) -> torch.Tensor:
        """Return [A, KV, G, t + 1] attention of query t, then let tokens go."""
        attention = torch.softmax(logits - self.gone[:, :, None, : t + 1], -1)
        newest = attention.sum(2)  # [A, KV, t + 1]
        excess: dict[int, int] = {}
        for a, arm in enumerate(self.arms):
            if arm.forgets(t):
                self.scores[a] = 0
            self.held[a] += 1
            if arm.evicts(t) and self.held[a] >= arm.capacity:
                excess[a] = self.held[a] - arm.capacity + 1
        scores = self.scores[..., : t + 1]
        scores.mul_(self.decay).add_(newest)
        for a, arm in enumerate(self.arms):
            if arm.pool > 1 and t == arm.prompt - 1:
                scores[a] = _pooled(scores[a], arm.pool)
        if excess:
            self._evict(t, self._rank(t, newest), excess)
        return attention

    def _rank(self, t: int, newest: torch.Tensor) -> torch.Tensor:
        """Return [A, KV, t + 1]: the least goes first; infinite for what stays or left."""
        positions = self.positions[: t + 1]
        rank = self.scores[..., : t + 1].clone()
        for victim, arms in self.by_victim.items():
            if victim == Victim.AGE:
                rank[arms] = positions.float()
            elif victim == Victim.MEAN:
                rank[arms] /= t - positions + 1
            elif victim == Victim.LAST:
                rank[arms] = newest[arms]
        rank += self.gone[..., : t + 1]
        kept = self.fixed[..., : t + 1] | (positions > t - self.recent)
        return rank.masked_fill_(kept, torch.inf)

    def _evict(self, t: int, rank: torch.Tensor, excess: dict[int, int]) -> None:
        """Let the least tokens of each head go: `excess` of each arm. Ties: the oldest."""
        for count in set(excess.values()):
            arms = [a for a, more in excess.items() if more == count]
            if count == 1:
                victims = rank[arms].argmin(-1, keepdim=True)
            else:
                victims = rank[arms].sort(dim=-1, stable=True).indices[..., :count]
            rows = torch.tensor(arms)[:, None, None]
            heads = torch.arange(rank.shape[1])[:, None]
            self.gone[rows, heads, victims] = torch.inf
            self.left[rows, heads, victims] = t
        for a, count in excess.items():
            self.held[a] -= count


def _pooled(scores: torch.Tensor, neighbours: int) -> torch.Tensor:
    """Return scores averaged over neighbours; positions beyond the ends count as 0."""
    return torch.nn.functional.avg_pool1d(
        scores, neighbours, stride=1, padding=neighbours // 2
    )


def _norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight.float()


def _rotation(config: DecoderConfig, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return [T, D / 2] cosine and sine of each position's angles."""
    exponents = torch.arange(0, config.head_size, 2).float() / config.head_size
    angles = torch.arange(tokens).float()[:, None] * config.rope_theta**-exponents
    return angles.cos(), angles.sin()


def _rotate(x: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return x with its halves rotated (rotate-half layout)."""
    first, second = x.chunk(2, -1)
    cos, sin = turn
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
