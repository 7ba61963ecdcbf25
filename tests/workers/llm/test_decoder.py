"""The decoder under eviction against a plain token-by-token one, and what eviction must keep."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from cuda.kernels import decoder_step
from cuda.kernels.packed import Form
from cuda.kernels.slots import Victim
from search.text_model import CacheBudget, CachePolicy, ScoreRule
from tests.workers.llm import random_model
from tests.workers.llm.plain_decoder import PlainDecoder
from workers.llm.decoder import Decoder
from workers.llm.decoder_types import DecoderConfig
from workers.llm.kv_cache import KeyValueCache
from workers.llm.policies import Rule, resolve
from workers.llm.prefill import _keep

BUDGETS = {
    "full": CacheBudget(policy=CachePolicy.FULL, slots=0),
    "local": CacheBudget(policy=CachePolicy.LOCAL, slots=12),
    "streaming": CacheBudget(policy=CachePolicy.STREAMING, slots=12),
    "sum": CacheBudget(policy=CachePolicy.H2O, slots=12, score=ScoreRule.SUM),
    "mean": CacheBudget(policy=CachePolicy.H2O, slots=12, score=ScoreRule.MEAN, sinks=0),
    "decay": CacheBudget(
        policy=CachePolicy.H2O, slots=12, score=ScoreRule.DECAY, decay=0.9
    ),
    "tova": CacheBudget(policy=CachePolicy.TOVA, slots=12),
}
SHAPES = {
    "llama": random_model.config(),
    "qwen2": random_model.config(
        architecture="qwen2", qkv_bias=True, heads=4, kv_heads=4, tied_head=False
    ),
    "mistral": random_model.config(
        architecture="mistral", layers=3, heads=8, kv_heads=1, head_size=16
    ),
}
T = 32


def decoder(shape: DecoderConfig, *, packed: bool = False) -> Decoder:
    cache = KeyValueCache(shape, sequences=3, slots=64, dtype=torch.float32)
    return Decoder(
        shape, random_model.weights(shape), cache, packed=packed, form=Form.F32
    )


def ids_of(seed: int, count: int = T) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(random_model.VOCABULARY) for _ in range(count)]


def rule_of(budget: CacheBudget, pinned: Sequence[bool] = (), tokens: int = T) -> Rule:
    return resolve(budget, pinned=pinned, tokens=tokens, limit=64)


def step_by_step(
    model: Decoder, ids: Sequence[int], row: int, rule: Rule, pinned: Sequence[bool] = ()
) -> torch.Tensor:
    """Return [T, vocabulary]: pins are read as chunks of one, the rest is decoded."""
    hidden = []
    for step, token in enumerate(ids):
        if step < len(pinned):
            hidden.append(model.read([token], row, step, [pinned[step]], rule))
        else:
            hidden.append(model.decode([token], [row], [step], [rule]))
    return model.logits(torch.cat(hidden))


def kept(model: Decoder, row: int, layer: int, head: int) -> list[int]:
    cache = model.cache.layers[layer]
    n = int(cache.filled[row])
    return sorted(cache.positions[row, head, :n].tolist())


@pytest.mark.parametrize("packed", [False, True], ids=["eager", "native"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("budget", BUDGETS)
def test_equals_the_plain_decoder(shape: str, budget: str, packed: bool) -> None:
    if packed and not decoder_step.available():
        pytest.skip("native code cannot be built here")
    model = decoder(SHAPES[shape], packed=packed)
    rule = rule_of(BUDGETS[budget])
    ids = ids_of(3)
    plain = PlainDecoder(model.config, random_model.weights(model.config), rule)
    expected = plain.run(ids)
    got = step_by_step(model, ids, 1, rule)
    assert float((got - expected).abs().max()) <= 1e-4
    for layer, heads in enumerate(plain.heads):
        for h, head in enumerate(heads):
            positions = sorted(e.position for e in head.entries)
            assert kept(model, 1, layer, h) == positions
            assert (rule.policy is CachePolicy.FULL) == (not head.victims)


@pytest.mark.parametrize("budget", ["sum", "mean", "decay", "tova", "streaming"])
def test_pins_and_recent_tokens_stay(budget: str) -> None:
    model = decoder(SHAPES["llama"])
    pinned = [False] * 5 + [True] * 3
    rule = rule_of(BUDGETS[budget], pinned)
    ids = ids_of(4)
    plain = PlainDecoder(model.config, random_model.weights(model.config), rule)
    expected = plain.run(ids, pinned)
    got = step_by_step(model, ids, 0, rule, pinned)
    assert float((got - expected).abs().max()) <= 1e-4
    for layer in range(model.config.layers):
        for head in range(model.config.kv_heads):
            positions = kept(model, 0, layer, head)
            assert len(set(positions)) == len(positions) == rule.capacity
            assert {5, 6, 7} <= set(positions)
            assert set(range(T - rule.recent, T)) <= set(positions)
            assert set(range(rule.sinks)) <= set(positions)


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_chunk_of_one_is_a_decode_step(budget: str) -> None:
    rule = rule_of(BUDGETS[budget])
    ids = ids_of(5)
    decoded, read = decoder(SHAPES["llama"]), decoder(SHAPES["llama"])
    expected = step_by_step(decoded, ids, 0, rule)
    got = read.logits(
        torch.cat(
            [read.read([token], 0, t, [False], rule) for t, token in enumerate(ids)]
        )
    )
    assert float((got - expected).abs().max()) <= 1e-4
    for layer in range(2):
        for head in range(2):
            assert kept(read, 0, layer, head) == kept(decoded, 0, layer, head)


@pytest.mark.parametrize("budget", [name for name in BUDGETS if name != "full"])
@pytest.mark.parametrize("chunk", [7, T])
def test_a_cache_that_holds_all_equals_full_exactly(budget: str, chunk: int) -> None:
    ids = ids_of(6)
    logits = []
    for name in (budget, "full"):
        held = CacheBudget(**{**vars(BUDGETS[name]), "slots": T})
        model, rule = decoder(SHAPES["llama"]), rule_of(held)
        hidden = [
            model.read(ids[i : i + chunk], 0, i, [False] * len(ids[i : i + chunk]), rule)
            for i in range(0, T - 8, chunk)
            if i + chunk <= T - 8
        ]
        at = sum(len(part) for part in hidden)
        hidden += [model.decode([ids[t]], [0], [t], [rule]) for t in range(at, T)]
        logits.append(model.logits(torch.cat(hidden)))
    assert torch.equal(*logits)


@pytest.mark.parametrize("budget", BUDGETS)
def test_same_victims_alone_and_in_a_batch(budget: str) -> None:
    """Neighbours of other lengths, rules and texts change nothing."""
    shape = SHAPES["llama"]
    rules = [
        rule_of(BUDGETS["tova"]),
        rule_of(BUDGETS[budget]),
        rule_of(BUDGETS["decay"]),
    ]
    texts = [ids_of(10), ids_of(11), ids_of(12)]
    alone, together = decoder(shape), decoder(shape)
    expected = step_by_step(alone, texts[1], 1, rules[1])
    got = []
    lag = (9, 0, 4)  # steps by which each sequence starts later
    for step in range(T):
        live = [i for i in range(3) if step >= lag[i]]
        hidden = together.decode(
            [texts[i][step - lag[i]] for i in live],
            live,
            [step - lag[i] for i in live],
            [rules[i] for i in live],
        )
        got.append(hidden[live.index(1)])
    assert float((together.logits(torch.stack(got)) - expected).abs().max()) <= 1e-4
    for layer in range(2):
        for head in range(2):
            assert kept(together, 1, layer, head) == kept(alone, 1, layer, head)


@pytest.mark.parametrize("name", ["sum", "decay"])
def test_scores_sum_to_the_attention_given(name: str) -> None:
    """Every query of a head gives 1; without eviction nothing of it is lost."""
    model = decoder(SHAPES["llama"])
    rule = rule_of(CacheBudget(**{**vars(BUDGETS[name]), "slots": T}))
    model.read(ids_of(7, 25), 0, 0, [False] * 25, rule)
    for t in range(25, T):
        model.decode(ids_of(7)[t : t + 1], [0], [t], [rule])
    given = model.config.group * sum(rule.decay**age for age in range(T))
    for cache in model.cache.layers:
        assert torch.allclose(cache.scores[0].sum(-1), torch.tensor(given), rtol=1e-4)


def test_scores_fade_per_own_step() -> None:
    """A sequence that waits while others decode keeps its scores."""
    model = decoder(SHAPES["llama"])
    rule = rule_of(BUDGETS["decay"])
    model.read(ids_of(8, 10), 0, 0, [False] * 10, rule)
    before = [cache.scores[0].clone() for cache in model.cache.layers]
    model.read(ids_of(9, 10), 1, 0, [False] * 10, rule)
    for t in range(10, 20):
        model.decode([1], [1], [t], [rule])
    for cache, old in zip(model.cache.layers, before, strict=True):
        assert torch.equal(cache.scores[0], old)


def test_positions_are_true_ones_after_eviction() -> None:
    """The rotary angle follows the text, not the number of slots."""
    model = decoder(SHAPES["llama"])
    rule = rule_of(BUDGETS["streaming"])
    step_by_step(model, ids_of(13), 0, rule)
    assert kept(model, 0, 0, 0) == [0, 1, 2, 3, *range(T - 8, T)]
    assert rule.victim is Victim.AGE


@pytest.mark.parametrize("name", ["sum", "mean", "decay", "tova", "streaming", "local"])
@pytest.mark.parametrize("chunk", [5, 16, T])
def test_chunks_bound_the_cache_and_keep_what_must_stay(name: str, chunk: int) -> None:
    model = decoder(SHAPES["llama"])
    pinned = [i in (6, 7) for i in range(T)]
    rule = rule_of(BUDGETS[name], pinned)
    ids = ids_of(14)
    for start in range(0, T, chunk):
        part = ids[start : start + chunk]
        model.read(part, 0, start, pinned[start : start + chunk], rule)
        for layer in range(2):
            for head in range(2):
                positions = kept(model, 0, layer, head)
                end = start + len(part)
                assert len(positions) == len(set(positions)) == min(end, rule.capacity)
                assert set(range(max(0, end - rule.recent), end)) <= set(positions)
                assert {p for p in (6, 7) if p < end} <= set(positions)


def test_one_chunk_is_the_papers_prefill() -> None:
    """Sums over the whole prompt under full attention; the heaviest and the recent stay."""
    shape = SHAPES["llama"]
    rule = rule_of(BUDGETS["sum"])
    ids = ids_of(15)
    model = decoder(shape)
    model.read(ids, 0, 0, [False] * T, rule)
    full = PlainDecoder(shape, random_model.weights(shape), rule_of(BUDGETS["full"]))
    full.run(ids)
    for layer in range(2):
        for head in range(2):
            entries = full.heads[layer][head].entries
            old = entries[rule.sinks : T - rule.recent]
            heavy = sorted(old, key=lambda e: -float(e.score))
            count = rule.capacity - rule.recent - rule.sinks
            expected = [e.position for e in entries[: rule.sinks] + heavy[:count]]
            assert kept(model, 0, layer, head) == sorted(
                [*expected, *range(T - rule.recent, T)]
            )


@pytest.mark.parametrize("policy", [CachePolicy.SNAPKV, CachePolicy.H2O])
def test_window_rules_count_the_last_queries(policy: CachePolicy) -> None:
    budget = CacheBudget(
        policy=policy, slots=16, score=ScoreRule.WINDOW, window=6, pool=3
    )
    rule = rule_of(budget)
    ids = ids_of(16)
    shape = SHAPES["llama"]
    model = decoder(shape)
    model.read(ids, 0, 0, [False] * T, rule)
    full = PlainDecoder(shape, random_model.weights(shape), rule_of(BUDGETS["full"]))
    full.run(ids[: T - 6])
    before = [
        [[float(e.score) for e in h.entries] for h in layer] for layer in full.heads
    ]
    for step in range(T - 6, T):
        full._token(ids[step], step, False)
    for layer in range(2):
        for head in range(2):
            entries = full.heads[layer][head].entries
            sums = [
                float(e.score) - (before[layer][head][i] if i < T - 6 else 0)
                for i, e in enumerate(entries)
            ]
            reach = rule.pool // 2
            pooled = [sum(sums[max(0, i - reach) : i + reach + 1]) for i in range(T)]
            old = range(rule.sinks, T - rule.recent)
            heavy = sorted(old, key=lambda i: -pooled[i])
            count = rule.capacity - rule.recent - rule.sinks
            expected = [*range(rule.sinks), *heavy[:count], *range(T - rule.recent, T)]
            assert kept(model, 0, layer, head) == sorted(expected)


def test_deterministic_steps_do_not_depend_on_the_batch() -> None:
    shape = SHAPES["mistral"]
    cache = KeyValueCache(shape, sequences=3, slots=64, dtype=torch.bfloat16)
    model = Decoder(
        shape,
        random_model.weights(shape, dtype=torch.bfloat16),
        cache,
        packed=False,
        deterministic=True,
    )
    rule = rule_of(BUDGETS["decay"])
    alone = [model.decode([t], [0], [t], [rule]) for t in range(20)]
    together = [
        model.decode([9, t, 5], [2, 1, 0], [t, t, t + 20], [rule] * 3)[1:2]
        for t in range(20)
    ]
    assert torch.equal(torch.cat(alone), torch.cat(together))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["sum", "decay", "tova"])
def test_native_chunks_equal_eager_ones(shape: str, name: str) -> None:
    """Chunks, then generated tokens, then a chunk that the grammar forced."""
    if not decoder_step.available():
        pytest.skip("native code cannot be built here")
    ids, rule = ids_of(17), rule_of(BUDGETS[name])
    got = []
    for packed in (False, True):
        model = decoder(SHAPES[shape], packed=packed)
        hidden = [
            model.read(ids[:5], 2, 0, [False] * 5, rule),
            model.read(ids[5:20], 2, 5, [False] * 15, rule),
            *(model.decode([ids[t]], [2], [t], [rule]) for t in range(20, 26)),
            model.read(ids[26:], 2, 26, [False] * (T - 26), rule.generating),
        ]
        heads = [kept(model, 2, layer, head) for layer in (0, 1) for head in (0,)]
        got.append((model.logits(torch.cat(hidden)), heads))
    assert float((got[0][0] - got[1][0]).abs().max()) <= 1e-4
    assert got[0][1] == got[1][1]


def test_a_chunk_of_many_tokens_equals_the_plain_decoder() -> None:
    """Without eviction, a prompt may be read in any chunks."""
    shape, ids = SHAPES["qwen2"], ids_of(18)
    rule = rule_of(BUDGETS["full"])
    expected = PlainDecoder(shape, random_model.weights(shape), rule).run(ids)
    for chunk in (T, 9):
        model = decoder(shape)
        hidden = [
            model.read(ids[i : i + chunk], 0, i, [False] * len(ids[i : i + chunk]), rule)
            for i in range(0, T, chunk)
        ]
        assert float((model.logits(torch.cat(hidden)) - expected).abs().max()) <= 1e-4


def test_equal_scores_let_the_older_token_go() -> None:
    """Ties in a chunk: whatever the order of slots, as in a decode step."""
    rule = rule_of(
        CacheBudget(policy=CachePolicy.H2O, slots=4, recent_share=0.0, sinks=0)
    )
    scores = torch.tensor([[1.0, 1.0, 1.0, 2.0, 1.0, 0.0]])
    none = torch.zeros(1, 6, dtype=torch.bool)
    for order in ([0, 1, 2, 3, 4, 5], [3, 0, 2, 1, 4, 5]):
        at = torch.tensor([order], dtype=torch.int32)
        chosen = _keep(scores.gather(1, at.long()), at, none, none, 5, rule)
        assert sorted(at.gather(1, chosen)[0].tolist()) == [2, 3, 4, 5]
        gone = at == 3
        chosen = _keep(scores.gather(1, at.long()), at, none, gone, 5, rule)
        assert sorted(at.gather(1, chosen)[0].tolist()) == [1, 2, 4, 5]


@pytest.mark.parametrize("packed", [False, True], ids=["eager", "native"])
def test_layers_with_equal_slots_are_the_plain_rule(packed: bool) -> None:
    if packed and not decoder_step.available():
        pytest.skip("no compiler here")
    shape = random_model.config()
    budget = CacheBudget(policy=CachePolicy.H2O, slots=20)
    plain = resolve(budget, pinned=[], tokens=60, limit=60)
    same = replace(plain, layers=((plain.capacity, plain.recent),) * shape.layers)
    both = [decoder(shape, packed=packed) for _ in range(2)]
    with torch.inference_mode():
        for t in range(60):
            token = [(7 * t * t) % 256]
            one, other = (
                model.decode(token, [0], [t], [rule])
                for model, rule in zip(both, (plain, same), strict=True)
            )
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
